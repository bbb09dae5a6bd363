import pandas as pd

from chain.results.local_tasks_tables import LAYOUTS, printed, stacked

NAN = float("nan")
TABLES = {
    "reversal": pd.DataFrame(
        {
            "method": ["lsh", "chain_plus"],
            "reversed": [0.0, 9.26],
            "category": [8.5, NAN],
            "random": [28.0, 32.04],
            "sd_reversed": [0.0, 0.31],
            "sd_category": [0.12, NAN],
            "sd_random": [0.04, 0.06],
        }
    ),
    "order": pd.DataFrame(
        {
            "clips": ["queries", "training clips"],
            "accuracy": [0.31, 0.4567],
            "chance": 1 / 7,
            "sd_accuracy": [0.0212, 0.0004],
            "sd_chance": 1e-17,
        }
    ),
    "scenes": pd.DataFrame(
        {
            "preference": [0.5, 1.0],
            "adjusted_rand": [0.755, 0.5],
            "uncrossed": [0.9, 1.0],
            "scenes": [3.456, 2.0],
            "unjoined": [2.0, 1.0],
        }
    ),
}


def test_by_hand() -> None:
    order, scenes, reversal = printed(TABLES)
    assert order.markdown() == (
        "### Order of frames\n\n"
        "| clips | accuracy of moved frames | chance |\n"
        "| --- | --: | --: |\n"
        "| queries | 0.310 ± 0.021 | 0.143 |\n"
        "| training clips | 0.457 | 0.143 |\n\n"
        f"{LAYOUTS['order'].note}\n"
    )
    assert [[cell.text for cell in row] for row in scenes.rows] == [
        ["0.5", "0.76", "0.90", "3.46", "2.00"],
        ["1.0", "0.50", "1.00", "2.00", "1.00"],
    ]
    assert [[cell.text for cell in row] for row in reversal.rows] == [
        ["LSH", "0.0", "8.5 ± 0.1", "28.0"],
        ["CHAIN+", "9.3 ± 0.3", "–", "32.0 ± 0.1"],
    ]
    assert reversal.right == (False, True, True, True)


def test_tables_that_are_missing_are_left_out() -> None:
    (reversal,) = printed({"reversal": TABLES["reversal"]})
    assert reversal.caption == "A clip and its reversal"
    assert printed({}) == []
    assert list(stacked({})) == ["table", "row", "measure", "mean", "sd"]


def test_all_numbers_in_one_table() -> None:
    table = stacked(TABLES)
    assert len(table) == 2 * 2 + 2 * 4 + 2 * 3
    assert list(table["table"].unique()) == ["order", "scenes", "reversal"]
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    assert rows[0] == ["order", "queries", "accuracy", 0.31, 0.0212]
    assert ["order", "queries", "chance", round(1 / 7, 9), 0.0] in rows
    assert ["scenes", 0.5, "adjusted_rand", 0.755, None] in rows
    assert ["reversal", "chain_plus", "category", None, None] in rows
    assert rows[-1] == ["reversal", "chain_plus", "random", 32.04, 0.06]

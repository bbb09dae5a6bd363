import numpy as np
import pandas as pd

from chain.results.score_cells import mean_and_sd, score_cells, wide_cells, wide_cells_by_k
from chain.results.table import Cell

SCORES = pd.DataFrame(
    {
        "dataset": ["demo", "demo", "demo", "other"],
        "method": ["lsh", "chain", "conmh", "lsh"],
        "k": [20, 20, 20, 5],
        "map_strict": [0.50014, 0.49961, 0.4994, 0.2],
        "sd_strict": [0.0123, np.nan, 0.0, 0.1],
        "map_ssvh": [0.1, 0.2, 0.3, 0.4],
    }
)


def slow_bold(scores: pd.DataFrame, contest: list[str], value: str) -> list[bool]:
    """One row after the other against every other row of its contest, as printed."""
    rows = scores.to_dict("records")
    bold = []
    for row in rows:
        rivals = [one for one in rows if all(one[name] == row[name] for name in contest)]
        best = max(round(one[value], 3) for one in rivals)
        bold.append(len(rivals) > 1 and round(row[value], 3) == best)
    return bold


def test_by_hand_equal_prints_share_the_bold_and_one_alone_has_none() -> None:
    assert list(score_cells(SCORES, ["dataset"])) == [
        Cell("0.500 ± 0.012", bold=True),
        Cell("0.500", bold=True),
        Cell("0.499 ± 0.000"),
        Cell("0.200 ± 0.100"),
    ]
    marked = score_cells(SCORES.assign(mark=["", " *", "", " *"]), ["dataset"])
    assert [cell.text for cell in marked][1:] == ["0.500 *", "0.499 ± 0.000", "0.200 ± 0.100 *"]
    other = score_cells(SCORES, ["dataset"], "ssvh")
    assert [cell.text for cell in other] == ["0.100", "0.200", "0.300", "0.400"]
    assert [cell.bold for cell in other] == [False, False, True, False]


def test_slow_twin() -> None:
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "dataset": rng.choice(["a", "b"], 60),
            "bits": rng.choice([16, 32], 60),
            "map_strict": rng.integers(0, 8, 60) / 8,
        }
    )
    for contest in (["dataset"], ["bits"], ["dataset", "bits"]):
        found = [cell.bold for cell in score_cells(scores, contest)]
        assert found == slow_bold(scores, contest, "map_strict")
        assert any(found) and not all(found)


def test_mean_and_sd() -> None:
    assert mean_and_sd({"map_strict": 0.1234}) == "0.123"
    assert mean_and_sd({"map_strict": 0.1234, "sd_strict": np.nan}) == "0.123"
    assert mean_and_sd({"map_ssvh": 0.1, "sd_ssvh": 0.0125}, "ssvh") == "0.100 ± 0.013"


def test_rows_keep_the_order_of_their_appearance() -> None:
    wide = wide_cells(SCORES, ["dataset"], "method", ["dataset"]).iloc[::-1]
    assert list(wide.columns) == ["dataset", "chain", "conmh", "lsh"]
    first = wide_cells(SCORES.iloc[::-1], ["dataset", "method"], "k", ["dataset"])
    assert list(first["dataset"]) == ["other", "demo", "demo", "demo"]
    assert list(first["method"]) == ["lsh", "conmh", "chain", "lsh"]
    assert first[20].isna().tolist() == [True, False, False, False]


def test_headings_of_k() -> None:
    wide = wide_cells_by_k(SCORES, ["dataset", "method"], ["dataset"])
    assert list(wide.columns) == ["dataset", "method", "mAP@5", "mAP@20"]
    assert wide.loc[0, "mAP@20"] == Cell("0.500 ± 0.012", bold=True)

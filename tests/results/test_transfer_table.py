import pandas as pd

from chain.results.transfer_table import transfer_table

COLUMNS = ["source", "dataset", "method", "k", "map_strict", "sd_strict"]
ROWS = pd.DataFrame(
    [
        ("ucf101", "hmdb51", "conmh", 5, 0.25, 0.5),
        ("ucf101", "hmdb51", "conmh", 20, 0.125, 0),
        ("ucf101", "hmdb51", "chain", 5, 0.5, 0.25),
        ("ucf101", "hmdb51", "chain", 20, 0.1, 0),
        ("hmdb51", "ucf101", "chain", 20, 0.75, 0),
    ],
    columns=COLUMNS,
)


def test_by_hand_the_best_method_of_a_pair_in_bold() -> None:
    assert transfer_table(ROWS).markdown() == (
        "| trained on | retrieval on | method | mAP@5 | mAP@20 |\n"
        "| --- | --- | --- | --: | --: |\n"
        "| UCF101 | HMDB51 | ConMH | 0.250 ± 0.500 | **0.125 ± 0.000** |\n"
        "| UCF101 | HMDB51 | CHAIN | **0.500 ± 0.250** | 0.100 ± 0.000 |\n"
        "| HMDB51 | UCF101 | CHAIN | – | 0.750 ± 0.000 |\n"
    )


def test_one_seed_has_no_spread() -> None:
    (row,) = transfer_table(ROWS.tail(1).drop(columns="sd_strict")).rows
    assert [cell.text for cell in row] == ["HMDB51", "UCF101", "CHAIN", "0.750"]

"""The tables of mAP, as Markdown."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.results.floors import NOTE
from chain.results.map_tables import FLOAT_NOTE, float_table, map_table, readme_tables


def rows(*values, columns=("dataset", "method", "bits", "k", "map_strict")):
    return pd.DataFrame(list(values), columns=list(columns))


SMALL = rows(
    ("ucf101", "chain", 32, 5, 0.5),
    ("ucf101", "chain", 32, 20, 0.25),
    ("ucf101", "lsh", 32, 5, 0.4),
    ("ucf101", "lsh", 32, 20, 0.3),
    ("ucf101", "chain", 16, 5, 0.2),
    ("ucf101", "chain", 16, 20, 0.1),
    ("demo", "chain", 16, 20, 0.75),
)


COLUMNS = ["dataset", "method", "bits", "k", "map_strict", "sd_strict"]
README_SCORES = pd.DataFrame(
    [
        ("ucf101", "chain", 32, 5, 0.5, 0.01),
        ("ucf101", "chain", 32, 20, 0.25, 0.02),
        ("ucf101", "lsh", 32, 5, 0.4, 0.0),
        ("ucf101", "lsh", 32, 20, 0.3, 0.0),
        ("ucf101", "chain", 16, 5, 0.2, 0.01),
        ("ucf101", "chain", 16, 20, 0.1, 0.03),
        ("ucf101", "lsh", 16, 5, 0.1, 0.0),
        ("ucf101", "lsh", 16, 20, 0.05, 0.0),
        ("demo", "chain", 16, 20, 0.75, 0.0),
    ],
    columns=COLUMNS,
)


def floats(*values):
    return rows(*values, columns=("dataset", "variant", "k", "map_strict"))


NONE = floats(("elsewhere", "raw", 20, 0.9))


def markdown(table, protocol="strict"):
    """The pipe table alone, without its heading."""
    return map_table(table, protocol).markdown().partition("\n\n")[2]


def readme(scores, floats, k):
    return "\n".join(table.markdown() for table in readme_tables(scores, floats, k))


def test_markdown_by_hand():
    assert markdown(SMALL) == (
        "| data set | bits | method | mAP@5 | mAP@20 |\n"
        "| --- | --: | --- | --: | --: |\n"
        "| UCF101 | 16 | CHAIN | 0.200 | 0.100 |\n"
        "| UCF101 | 32 | LSH | 0.400 | **0.300** |\n"
        "| UCF101 | 32 | CHAIN | **0.500** | 0.250 |\n"
        "| Demo | 16 | CHAIN | – | 0.750 |\n"
    )


def test_markdown_ties_share_the_bold_as_printed():
    table = rows(
        ("demo", "lsh", 64, 5, 0.50014),
        ("demo", "conmh", 64, 5, 0.49961),
        ("demo", "chain", 64, 5, 0.4994),
    )
    cells = [line.split(" | ")[-1] for line in markdown(table).splitlines()[2:]]
    assert cells == ["**0.500** |", "**0.500** |", "0.499 |"]


def test_markdown_mean_and_spread():
    table = rows(("demo", "lsh", 64, 5, 0.4), ("demo", "chain", 64, 5, 0.5))
    table["sd_strict"] = [0.0123, 0.0456]
    assert "| LSH | 0.400 ± 0.012 |" in markdown(table)
    assert "| CHAIN | **0.500 ± 0.046** |" in markdown(table)
    table["sd_strict"] = [0.0123, np.nan]  # one seed has no spread
    assert "| LSH | 0.400 ± 0.012 |" in markdown(table)
    assert "| CHAIN | **0.500** |" in markdown(table)


def test_markdown_of_the_other_protocol():
    table = SMALL.rename(columns={"map_strict": "map_ssvh"}).assign(sd_strict=1.0)
    assert "±" not in markdown(table, "ssvh")
    with pytest.raises(InputError, match="no column 'map_strict'"):
        markdown(table)


def test_a_perfect_score_is_bold():
    table = rows(("demo", "lsh", 64, 5, 0.9999), ("demo", "chain", 64, 5, 1.0))
    assert markdown(table).count("**1.000**") == 2


def test_one_method_alone_is_not_best():
    assert "**" not in markdown(SMALL[SMALL["method"] == "chain"])


def test_the_heading_names_the_protocol():
    assert map_table(SMALL).markdown().startswith("### mAP@K, strict protocol\n\n| data set |")


def test_bad_tables():
    for column in SMALL.columns:
        with pytest.raises(InputError, match=f"no column '{column}'"):
            map_table(SMALL.drop(columns=column))
    with pytest.raises(InputError, match="'map_strict' holds NaN"):
        map_table(SMALL.assign(map_strict=np.nan))
    with pytest.raises(InputError, match="two rows with the same"):
        map_table(pd.concat([SMALL, SMALL]))
    with pytest.raises(InputError, match="no rows"):
        map_table(SMALL.iloc[:0])


def test_tables_do_not_depend_on_the_order_of_methods_and_lengths():
    shuffled = SMALL.iloc[:6].sample(frac=1, random_state=1)
    assert markdown(shuffled) == markdown(SMALL.iloc[:6])


def test_float_table_by_hand():
    table = floats(
        ("ucf101", "raw", 20, 0.25),
        ("ucf101", "raw", 5, 0.5),
        ("ucf101", "centred", 5, 0.4),
        ("ucf101", "centred", 20, 0.3),
        ("demo", "raw", 5, 0.1234),
        ("demo", "raw", 20, 0.9876),
    )
    assert float_table(table).markdown() == (
        "### Without a code\n\n"
        "| data set | strict protocol | mAP@5 | mAP@20 |\n"
        "| --- | --- | --: | --: |\n"
        "| UCF101 | float features | **0.500** | 0.250 |\n"
        "| UCF101 | float features, centred | 0.400 | **0.300** |\n"
        "| Demo | float features | 0.123 | 0.988 |\n"
        f"\n{FLOAT_NOTE}\n"
    )


def test_learned_methods_below_the_floor_are_marked_at_each_k():
    """CHAIN is above LSH at K = 5 only, and at 16 bits, without LSH, below the float features."""
    found = floats(("ucf101", "raw", 5, 0.1), ("ucf101", "centred", 5, 0.3), ("demo", "raw", 20, 0))
    assert map_table(SMALL, "strict", found).markdown().partition("\n\n")[2] == (
        "| data set | bits | method | mAP@5 | mAP@20 |\n"
        "| --- | --: | --- | --: | --: |\n"
        "| UCF101 | 16 | CHAIN | 0.200 † | 0.100 |\n"
        "| UCF101 | 32 | LSH | 0.400 | **0.300** |\n"
        "| UCF101 | 32 | CHAIN | **0.500** | 0.250 † |\n"
        "| Demo | 16 | CHAIN | – | 0.750 |\n"
        f"\n{NOTE}\n"
    )
    assert map_table(SMALL[SMALL["method"] == "lsh"], "strict", found).note == ""
    assert "†" not in markdown(SMALL)


def test_readme_by_hand() -> None:
    assert readme(README_SCORES, NONE, 20) == (
        "| UCF101, mAP@20 | 16 bits | 32 bits |\n"
        "| --- | --: | --: |\n"
        "| LSH | 0.050 ± 0.000 | **0.300 ± 0.000** |\n"
        "| CHAIN | **0.100 ± 0.030** | 0.250 ± 0.020 † |\n"
        "\n"
        f"{NOTE}\n"
        "\n"
        "| Demo, mAP@20 | 16 bits |\n"
        "| --- | --: |\n"
        "| CHAIN | 0.750 ± 0.000 |\n"
    )


def test_readme_at_another_k_and_of_one_seed() -> None:
    assert readme(README_SCORES.drop(columns="sd_strict"), NONE, 5) == (
        "| UCF101, mAP@5 | 16 bits | 32 bits |\n"
        "| --- | --: | --: |\n"
        "| LSH | 0.100 | 0.400 |\n"
        "| CHAIN | **0.200** | **0.500** |\n"
    )


def test_readme_of_a_data_set_that_lacks_this_k() -> None:
    """Its largest smaller one is shown, and so is that of the float features."""
    small = README_SCORES[:8].assign(k=README_SCORES["k"].map({5: 5, 20: 7}), dataset="tiny")
    found = floats(("tiny", "raw", 5, 0.9), ("tiny", "raw", 7, 0.06))
    first, note, _, _, third = readme(pd.concat([small, README_SCORES]), found, 20).split("\n\n")
    assert first == (
        "| tiny, mAP@7 | 16 bits | 32 bits |\n"
        "| --- | --: | --: |\n"
        "| LSH | 0.050 ± 0.000 | **0.300 ± 0.000** |\n"
        "| CHAIN | **0.100 ± 0.030** | 0.250 ± 0.020 † |\n"
        "| *float features* | 0.060 | 0.060 |"
    )
    assert note == NOTE
    assert third.startswith("| Demo, mAP@20 |")


def test_readme_of_equal_means_and_of_a_spread_that_is_not_known() -> None:
    """As in the tables of all results: what prints the same shares the bold."""
    scores = README_SCORES.replace({"map_strict": {0.3: 0.2504}, "sd_strict": {0.02: np.nan}})
    rows = [
        line for line in readme(scores, NONE, 20).splitlines() if "CHAIN" in line or "LSH" in line
    ]
    assert rows[0] == "| LSH | 0.050 ± 0.000 | **0.250 ± 0.000** |"
    assert rows[1] == "| CHAIN | **0.100 ± 0.030** | **0.250 †** |"


def test_readme_puts_the_float_features_below_the_methods() -> None:
    found = floats(
        ("ucf101", "raw", 5, 0.9),
        ("ucf101", "raw", 20, 0.26),
        ("ucf101", "centred_halves", 20, 0.08),
        ("demo", "raw", 20, 0.5),
    )
    first, note, second = readme(README_SCORES, found, 20).split("\n\n")
    assert first.splitlines()[-3:] == [
        "| CHAIN | **0.100 ± 0.030 †** | 0.250 ± 0.020 † |",
        "| *float features* | 0.260 | 0.260 |",
        "| *float features, centred halves* | 0.080 | 0.080 |",
    ]
    assert note == NOTE
    assert second.splitlines()[-2:] == ["| CHAIN | 0.750 ± 0.000 |", "| *float features* | 0.500 |"]


@pytest.mark.parametrize("seed", [0, 1])
def test_readme_does_not_follow_the_order_of_rows_within_a_data_set(seed: int) -> None:
    ucf101, demo = README_SCORES[:8].sample(frac=1, random_state=seed), README_SCORES[8:]
    assert readme(pd.concat([ucf101, demo]), NONE, 20) == readme(README_SCORES, NONE, 20)


def test_no_table_loads_matplotlib():
    """A stage that prints tables then does not re-run when a figure changes its look."""
    modules = ("map_tables", "ablation_tables", "transfer_table", "cost_table", "wide")
    names = ", ".join(f"chain.results.{module}" for module in modules)
    code = f"import sys, chain.claims.claims_table, {names}\nsys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

import io

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.results.tables import float_table, markdown_table, wide_curve, wide_table


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


def test_wide_table_by_hand():
    wide = wide_table(SMALL, ["map_strict"])
    want = pd.DataFrame(
        {
            "dataset": ["ucf101", "ucf101", "ucf101", "demo"],
            "bits": [16, 32, 32, 16],
            "method": ["chain", "lsh", "chain", "chain"],
            "map_strict@5": [0.2, 0.4, 0.5, np.nan],
            "map_strict@20": [0.1, 0.3, 0.25, 0.75],
        }
    )
    pd.testing.assert_frame_equal(wide, want, check_names=False)


def test_wide_table_of_several_values_survives_csv():
    table = SMALL.assign(sd_strict=0.5)
    wide = wide_table(table, ["map_strict", "sd_strict"])
    back = pd.read_csv(io.StringIO(wide.to_csv(index=False)))
    assert list(back.columns) == [
        *("dataset", "bits", "method"),
        *("map_strict@5", "map_strict@20", "sd_strict@5", "sd_strict@20"),
    ]
    pd.testing.assert_frame_equal(back, wide, check_names=False, check_dtype=False)


def test_markdown_by_hand():
    assert markdown_table(SMALL) == (
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
    cells = [line.split(" | ")[-1] for line in markdown_table(table).splitlines()[2:]]
    assert cells == ["**0.500** |", "**0.500** |", "0.499 |"]


def test_markdown_mean_and_spread():
    table = rows(("demo", "lsh", 64, 5, 0.4), ("demo", "chain", 64, 5, 0.5))
    table["sd_strict"] = [0.0123, 0.0456]
    assert "| LSH | 0.400 ± 0.012 |" in markdown_table(table)
    assert "| CHAIN | **0.500 ± 0.046** |" in markdown_table(table)
    table["sd_strict"] = [0.0123, np.nan]  # one seed has no spread
    assert "| LSH | 0.400 ± 0.012 |" in markdown_table(table)
    assert "| CHAIN | **0.500** |" in markdown_table(table)


def test_markdown_of_the_other_protocol():
    table = SMALL.rename(columns={"map_strict": "map_ssvh"}).assign(sd_strict=1.0)
    assert "±" not in markdown_table(table, "ssvh")
    with pytest.raises(InputError, match="no column 'map_strict'"):
        markdown_table(table)


def test_a_perfect_score_is_bold():
    table = rows(("demo", "lsh", 64, 5, 0.9999), ("demo", "chain", 64, 5, 1.0))
    assert markdown_table(table).count("**1.000**") == 2


def test_one_method_alone_is_not_best():
    assert "**" not in markdown_table(SMALL[SMALL["method"] == "chain"])


@pytest.mark.parametrize("make", [lambda table: wide_table(table, ["map_strict"]), markdown_table])
def test_bad_tables(make):
    for column in SMALL.columns:
        with pytest.raises(InputError, match=f"no column '{column}'"):
            make(SMALL.drop(columns=column))
    with pytest.raises(InputError, match="'map_strict' holds NaN"):
        make(SMALL.assign(map_strict=np.nan))
    with pytest.raises(InputError, match="two rows with the same"):
        make(pd.concat([SMALL, SMALL]))
    with pytest.raises(InputError, match="no rows"):
        make(SMALL.iloc[:0])


def test_tables_do_not_depend_on_the_order_of_methods_and_lengths():
    shuffled = SMALL.iloc[:6].sample(frac=1, random_state=1)
    assert markdown_table(shuffled) == markdown_table(SMALL.iloc[:6])


def test_wide_curve_of_map_is_a_plain_pivot():
    curve = wide_curve(SMALL.iloc[[1, 0, 2, 3, 4, 5, 6]], "ucf101", 32, "k", "map_strict")
    want = pd.DataFrame({"k": [5, 20], "lsh": [0.4, 0.3], "chain": [0.5, 0.25]})
    pd.testing.assert_frame_equal(curve, want)


def curves(**methods):
    parts = [
        pd.DataFrame({"dataset": "demo", "bits": 64, "method": m, "recall": r, "precision": p})
        for m, (r, p) in methods.items()
    ]
    return pd.concat(parts)


def test_wide_curve_interpolates_where_all_methods_reach():
    table = curves(chain=([0.2, 0.6, 1.0], [0.9, 0.5, 0.1]), lsh=([0.1, 0.4, 1.0], [0.8, 0.4, 0.1]))
    curve = wide_curve(table, "demo", 64, "recall", "precision")
    assert list(curve.columns) == ["recall", "lsh", "chain"]
    np.testing.assert_allclose(curve["recall"], [0.2, 0.4, 0.6, 1.0])
    np.testing.assert_allclose(curve["chain"], [0.9, 0.7, 0.5, 0.1])
    np.testing.assert_allclose(curve["lsh"], [0.8 - 0.4 / 3, 0.4, 0.3, 0.1])


def test_wide_curve_averages_where_recall_stands_still():
    table = curves(chain=([0.5, 0.5, 1.0], [0.8, 0.6, 0.5]))
    curve = wide_curve(table, "demo", 64, "recall", "precision")
    np.testing.assert_allclose(curve["chain"], [0.7, 0.5])


def test_wide_curve_refuses():
    table = curves(chain=([0.1, 0.2], [0.9, 0.8]), lsh=([0.5, 0.6], [0.3, 0.2]))
    with pytest.raises(InputError, match="no recall that all methods cover on demo at 64 bits"):
        wide_curve(table, "demo", 64, "recall", "precision")
    with pytest.raises(InputError, match="no row of demo at 32 bits"):
        wide_curve(table, "demo", 32, "recall", "precision")
    with pytest.raises(InputError, match="no column 'rank'"):
        wide_curve(table, "demo", 64, "rank", "precision")
    with pytest.raises(InputError, match="'precision' holds NaN"):
        wide_curve(table.assign(precision=np.nan), "demo", 64, "recall", "precision")


def test_float_table_by_hand():
    table = pd.DataFrame(
        {
            "dataset": ["ucf101", "ucf101", "demo", "demo"],
            "k": [20, 5, 5, 20],
            "map_strict": [0.25, 0.5, 0.1234, 0.9876],
        }
    )
    assert float_table(table) == (
        "| data set | strict protocol | mAP@5 | mAP@20 |\n"
        "| --- | --- | --: | --: |\n"
        "| UCF101 | float features, cosine | 0.500 | 0.250 |\n"
        "| Demo | float features, cosine | 0.123 | 0.988 |\n"
    )

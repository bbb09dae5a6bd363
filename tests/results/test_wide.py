import io

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.results.wide import in_order, wide_curve, wide_table


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


def test_bad_tables():
    for column in SMALL.columns:
        with pytest.raises(InputError, match=f"no column '{column}'"):
            wide_table(SMALL.drop(columns=column), ["map_strict"])
    with pytest.raises(InputError, match="'map_strict' holds NaN"):
        wide_table(SMALL.assign(map_strict=np.nan), ["map_strict"])
    with pytest.raises(InputError, match="two rows with the same"):
        wide_table(pd.concat([SMALL, SMALL]), ["map_strict"])


def test_data_sets_keep_their_order_and_the_rest_is_sorted():
    found = in_order(SMALL.iloc[::-1])[["dataset", "bits", "method", "k"]]
    assert list(found.itertuples(index=False, name=None)) == [
        ("demo", 16, "chain", 20),
        ("ucf101", 16, "chain", 20),
        ("ucf101", 16, "chain", 5),
        ("ucf101", 32, "lsh", 20),
        ("ucf101", 32, "lsh", 5),
        ("ucf101", 32, "chain", 20),
        ("ucf101", 32, "chain", 5),
    ]


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

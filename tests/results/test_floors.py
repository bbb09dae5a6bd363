import numpy as np
import pandas as pd
import pytest
from small_methods import LEARNED

from chain.methods import METHODS
from chain.results.floors import MARK, NOTE, TRAINING_FREE, best_floats, floor_note, marked

FLOATS = pd.DataFrame(
    [
        ("demo", "raw", 5, 0.5),
        ("demo", "raw", 20, 0.3),
        ("demo", "centred", 5, 0.5),
        ("demo", "centred", 20, 0.4),
        ("other", "centred", 20, 0.2),
        ("other", "raw", 20, 0.1),
    ],
    columns=["dataset", "variant", "k", "map_strict"],
)


def scores(*rows: tuple[str, str, int, int, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["dataset", "method", "bits", "k", "map_strict"])


def test_the_methods_without_training_are_those_that_need_no_parameters_of_one() -> None:
    assert set(TRAINING_FREE) == set(METHODS) - set(LEARNED)


def test_best_float_features_by_hand() -> None:
    found = best_floats(FLOATS).set_index(["dataset", "k"])
    assert found["variant"].to_dict() == {
        ("demo", 5): "raw",  # the first of equal ones
        ("demo", 20): "centred",
        ("other", 20): "centred",
    }
    assert found.loc[("demo", 20), "map_strict"] == 0.4


def test_marks_by_hand() -> None:
    table = scores(
        ("demo", "chain", 16, 20, 0.41),  # above the float features
        ("demo", "conmh", 16, 20, 0.40),  # as good as they are
        ("demo", "lsh", 16, 20, 0.1),  # a floor itself
        ("demo", "chain", 64, 20, 0.45),  # below PCA-ITQ of the same length
        ("demo", "pca_itq", 64, 20, 0.46),
        ("demo", "lsh", 64, 20, 0.47),
        ("demo", "chain", 64, 5, 0.51),  # at another K
        ("other", "chain", 64, 20, 0.3),
        ("third", "chain", 64, 20, 0.0),  # a data set without floors
    )
    found = marked(table, FLOATS)
    assert list(found["mark"]) == ["", MARK, "", MARK, "", "", "", "", ""]
    pd.testing.assert_frame_equal(found.drop(columns="mark"), table)
    assert floor_note(found) == NOTE
    assert floor_note(found[found["dataset"] == "other"]) == ""


@pytest.mark.parametrize("seed", range(3))
def test_marks_match_a_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = [
        (dataset, method, bits, k)
        for dataset in ("demo", "other", "third")
        for method in METHODS
        for bits in (16, 64)
        for k in (5, 20)
        if rng.random() < 0.8
    ]
    table = scores(*((*cell, float(rng.integers(10)) / 10) for cell in cells))
    expected = []
    for row in table.to_dict("records"):
        floors = [
            other["map_strict"]
            for other in table.to_dict("records")
            if other["method"] in TRAINING_FREE
            and all(other[name] == row[name] for name in ("dataset", "bits", "k"))
        ] + [
            other["map_strict"]
            for other in FLOATS.to_dict("records")
            if (other["dataset"], other["k"]) == (row["dataset"], row["k"])
        ]
        below = bool(floors) and row["map_strict"] <= max(floors)
        expected.append(MARK if below and row["method"] in LEARNED else "")
    assert list(marked(table, FLOATS)["mark"]) == expected
    assert 0 < expected.count(MARK) < len(expected)

"""Scores at one K where not every data set has it."""

import pandas as pd
import pytest

from chain.results.at_k import at_k

SCORES = pd.DataFrame(
    [
        ("large", "chain", 5, 0.1),
        ("large", "chain", 20, 0.2),
        ("large", "chain", 100, 0.3),
        ("large", "lsh", 20, 0.4),
        ("small", "chain", 7, 0.5),
        ("small", "chain", 5, 0.6),
        ("small", "lsh", 7, 0.7),
    ],
    columns=["dataset", "method", "k", "map_strict"],
)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (20, [0.2, 0.4, 0.5, 0.7]),
        (99, [0.2, 0.4, 0.5, 0.7]),
        (100, [0.3, 0.5, 0.7]),
        (6, [0.1, 0.6]),
        (5, [0.1, 0.6]),
        (4, []),
    ],
)
def test_each_data_set_has_its_largest_k_up_to_this_one(k: int, expected: list[float]) -> None:
    assert at_k(SCORES, k)["map_strict"].tolist() == expected


def test_rows_keep_their_columns_and_order() -> None:
    shuffled = SCORES.sample(frac=1, random_state=0)
    found = at_k(shuffled, 20)
    pd.testing.assert_frame_equal(
        found, shuffled[shuffled["map_strict"].isin([0.2, 0.4, 0.5, 0.7])]
    )
    assert found["k"].dtype == SCORES["k"].dtype

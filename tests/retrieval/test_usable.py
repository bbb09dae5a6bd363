"""Which K a database allows."""

import pytest

from chain.retrieval.config import usable


@pytest.mark.parametrize(
    ("topk", "database", "expected"),
    [
        ([5, 20, 100], 1000, [5, 20, 100]),
        ([5, 20, 100], 100, [5, 20, 100]),
        ([5, 20, 100], 99, [5, 20]),
        ([20, 5], 5, [5]),
        ([5, 20], 4, [4]),  # so that there is something to show
        ([5, 20], 1, [1]),
    ],
)
def test_k_above_the_database_are_left_out(
    topk: list[int], database: int, expected: list[int]
) -> None:
    assert usable(topk, database) == expected

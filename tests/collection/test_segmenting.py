"""Segments by hand."""

import numpy as np
import pytest

from chain.collection.segmenting import Segmenting
from chain.core.errors import InputError


@pytest.mark.parametrize(
    "duration, expected",
    [
        (0.0, []),
        (4.3, []),
        (5.0, [(0, 4), (1, 5)]),
        (8.0, [(0, 4), (2, 6), (4, 8)]),
        (8.1, [(0, 4), (2, 6), (4.1, 8.1)]),
        (8.3, [(0, 4), (2, 6), (4, 8), (4.3, 8.3)]),
    ],
)
def test_segments(duration, expected):
    found = Segmenting(4, 2).segments(duration)
    np.testing.assert_allclose(found, np.reshape(expected, (-1, 2)))


@pytest.mark.parametrize("duration, expected", [(1, 1), (4.4, 1), (5, 3), (12, 3), (12.1, 5)])
def test_density_is_odd_and_enough(duration, expected):
    assert Segmenting(4, 2).density(duration) == expected


@pytest.mark.parametrize("length, stride", [(4, 5), (4, 0.1), (float("inf"), 2), (float("nan"), 2)])
def test_bad_lengths(length, stride):
    with pytest.raises(InputError, match="stride"):
        Segmenting(length, stride)

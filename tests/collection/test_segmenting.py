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


@pytest.mark.parametrize(
    "duration, cuts, expected",
    [
        (1.9, [1], []),
        (2.0, [1], [(0, 1), (1, 2)]),  # a video that is not long, but has two shots
        (8.0, [3], [(0, 3), (3, 7), (4, 8)]),  # a shot that is not long is one segment
        (8.0, [1, 4], [(0, 1), (1, 4), (4, 8)]),
        (8.0, [0.9], [(0, 4), (2, 6), (4, 8)]),  # too near to the start
        (8.0, [7.1], [(0, 4), (2, 6), (4, 8)]),  # too near to the end
        (9.0, [4, 4.5, 6], [(0, 4), (4, 6), (6, 9)]),  # the second shot joins the third
        (10.0, [4.4], [(0, 4.4), (4.4, 8.4), (6, 10)]),
    ],
)
def test_segments_respect_cuts(duration, cuts, expected):
    found = Segmenting(4, 2).segments(duration, cuts)
    np.testing.assert_allclose(found, np.reshape(expected, (-1, 2)))


@pytest.mark.parametrize("seed", range(5))
def test_segments_of_any_cuts(seed):
    random = np.random.default_rng(seed)
    duration = random.uniform(5, 60)
    cuts = np.sort(random.uniform(0, duration, 12))
    found = Segmenting(4, 2).segments(duration, cuts)
    lengths = found[:, 1] - found[:, 0]
    assert found[0, 0] == 0
    assert found[-1, 1] == pytest.approx(duration)
    assert (found[1:, 0] <= found[:-1, 1] + 1e-9).all()  # no gap
    assert (np.diff(found, axis=0) > 0).all()
    assert lengths.min() >= 1 - 1e-9
    assert lengths.max() <= 4.4 + 1e-9
    inside = (found[:, 0] < cuts[:, None] - 1e-9) & (cuts[:, None] + 1e-9 < found[:, 1])
    crossed = cuts[inside.any(axis=1)]
    kept = [cut for cut in cuts if cut not in crossed]
    assert all(min(abs(cut - edge) for edge in [0, duration, *kept]) < 1 for cut in crossed)


@pytest.mark.parametrize("duration, expected", [(1, 1), (4.4, 1), (5, 3), (12, 3), (12.1, 5)])
def test_density_is_odd_and_enough(duration, expected):
    assert Segmenting(4, 2).density(duration) == expected


@pytest.mark.parametrize("length, stride", [(4, 5), (4, 0.1), (float("inf"), 2), (float("nan"), 2)])
def test_bad_lengths(length, stride):
    with pytest.raises(InputError, match="stride"):
        Segmenting(length, stride)

"""Statistics by hand, and drift that is there and drift that is not."""

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.hasher.statistics import SAMPLE, describe, drift, sample

THREE = np.array([[0b00], [0b01], [0b11]], np.uint8)


def test_statistics_by_hand():
    found = describe(THREE)
    assert found.bit_means == [0, 0, 0, 0, 0, 0, 0.333333, 0.666667]
    assert found.distances == [0, 2, 1, 0, 0, 0, 0, 0, 0]
    assert found.nearest == [0, 3, 0, 0, 0, 0, 0, 0, 0]


def test_statistics_of_copies():
    found = describe(THREE[[0, 0, 2]])
    assert found.distances == [1, 0, 2, 0, 0, 0, 0, 0, 0]
    assert found.nearest == [2, 0, 1, 0, 0, 0, 0, 0, 0]


def test_the_sample():
    codes = np.arange(3 * SAMPLE, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    kept = sample(codes)
    assert len(kept) == SAMPLE and (kept[[0, -1]] == codes[[0, -1]]).all()
    assert (sample(THREE) == THREE).all()


def random_codes(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 5, 200])
def test_codes_like_those_of_training_have_not_drifted(count):
    found = drift(random_codes(1, count), random_codes(0, 500))
    assert not found.alarm and str(found).startswith("no drift: shifted bits: none; nearest codes")


def test_a_bit_that_is_always_set():
    codes = random_codes(1, 50)
    codes[:, 0] |= 0b00100000
    found = drift(codes, random_codes(0, 500))
    assert found.shifted == [2] and found.alarm


def test_a_bit_that_was_always_set_in_training_too():
    codes, training = random_codes(1, 50), random_codes(0, 500)
    codes[:, 0] |= 1
    training[:, 0] |= 1
    assert not drift(codes, training).shifted


def test_codes_that_are_far_from_those_of_training():
    centres = random_codes(0, 4)
    training = centres[np.arange(100) % 4].copy()
    training[:, 7] ^= 1 << (np.arange(100) % 8).astype(np.uint8)  # two bits apart at most
    near, far = drift(training[:20], training), drift(random_codes(2, 20), training)
    assert not near.alarm
    assert far.growth > 5 and far.alarm


def test_too_few_codes():
    with pytest.raises(InputError, match="statistics need two codes, here are 0"):
        describe(THREE[:0])
    with pytest.raises(InputError, match="drift needs a new code and two codes of training"):
        drift(THREE[:0], THREE)
    with pytest.raises(InputError, match="drift needs"):
        drift(THREE, THREE[:1])

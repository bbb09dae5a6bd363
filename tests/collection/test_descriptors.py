"""Thumbnails of frames, and the bars around them."""

import numpy as np
import pytest
from moving_scenes import every, shoot

from chain.collection.descriptors import SIDE, WIDTH, averaging, describe, thumbnails

TIMES = every(0.2, 0, 2)


@pytest.mark.parametrize(("size", "count"), [(64, 12), (7, 3), (5, 12)])
def test_averaging_is_the_mean_over_a_finer_line(size, count):
    line = np.random.default_rng(0).random(size)
    fine = line.repeat(count).reshape(count, size).mean(axis=1)
    np.testing.assert_allclose(averaging(size, count) @ line, fine, rtol=1e-5)


def test_a_descriptor_is_a_small_grey_picture():
    pictures = np.zeros((1, 48, 48, 3), np.uint8)
    pictures[0, :4, 4:8] = (255, 255, 255)  # one pixel of the thumbnail
    pictures[0, 44:, 44:] = (255, 0, 0)
    found = describe(np.concatenate([pictures, shoot(0, 0, TIMES[:1])[:, :48, :48]]))
    assert found.shape == (2, WIDTH) and found.dtype == np.uint8
    small = thumbnails(found)[0]
    assert small.shape == (SIDE, SIDE)
    assert small[5, 5] == 0 and 200 < small[0, 1] <= 255
    assert small[11, 11] / small[0, 1] == pytest.approx(0.299, abs=0.03)  # red is darker


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
@pytest.mark.parametrize("sides", [(16, 0), (0, 16), (12, 24)])
def test_bars_are_cut_off(colour, sides):
    pictures = shoot(1, 2, TIMES)
    barred = np.full_like(np.repeat(pictures, 1, axis=0), colour)
    up, left = sides
    inside = barred[:, up : 96 - up, left : 96 - left]
    inside[:] = pictures[:, up : 96 - up, left : 96 - left]
    cut = describe(np.array(inside[:, : min(inside.shape[1:3]), : min(inside.shape[1:3])]))
    assert cut.shape == (len(TIMES), WIDTH)
    expected = thumbnails_of(inside)
    rows = np.corrcoef(expected.ravel(), thumbnails(describe(barred)).ravel())
    assert rows[0, 1] > 0.98


def thumbnails_of(pictures):
    down, across = averaging(pictures.shape[1], SIDE), averaging(pictures.shape[2], SIDE)
    return down @ pictures[..., 0].astype(np.float32) @ across.T


def test_black_frames_and_dark_corners_are_no_bars():
    pictures = shoot(1, 2, TIMES)
    known = describe(pictures)
    black = np.concatenate([np.zeros_like(pictures[:3]), pictures])
    np.testing.assert_array_equal(describe(black)[3:], known)
    assert not describe(black)[:3].any()
    once = pictures.copy()
    once[0, :20] = 0  # in one frame only
    np.testing.assert_array_equal(describe(once)[1:], known[1:])

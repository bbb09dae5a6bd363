"""Which frames a hasher sees, of files and of arrays."""

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.hasher.frames import squares


def test_frames_at_the_midpoints_of_equal_segments():
    frames = np.zeros((10, 16, 16, 3), np.uint8)
    frames[:] = np.arange(10, dtype=np.uint8)[:, None, None, None]
    assert squares(frames, 5, 16)[:, 0, 0, 0].tolist() == [1, 3, 5, 7, 9]
    assert squares(frames[:2], 4, 16)[:, 3, 3, 1].tolist() == [0, 0, 1, 1]


def test_arrays_are_cropped_and_scaled_as_files_are(tmp_path, write_clip):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8).repeat(12, 1).repeat(12, 2)
    path = write_clip(tmp_path / "clip.mkv", coarse, codec="ffv1")
    of_file, of_array = squares(path, 3, 32), squares(coarse, 3, 32)
    assert of_file.shape == of_array.shape == (3, 32, 32, 3)
    # The file holds colour at half the resolution, which the array does not.
    assert np.abs(of_file.astype(int).mean(3) - of_array.astype(int).mean(3)).mean() < 8


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8, 4), "u1")]
)
def test_what_is_no_array_of_frames(frames):
    with pytest.raises(InputError, match=r"frames: expected uint8 of shape \(n, H, W, 3\), not"):
        squares(frames, 2, 16)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chain.datasets.copies import NEAR
from chain.video.fingerprint import fingerprint

WriteClip = Callable[..., Path]


def scenes(seed: int, side: int = 8, length: int = 30) -> NDArray[np.uint8]:
    """Three scenes of coarse random squares, one after the other, in 6 x 8 squares of a `side`."""
    coarse = np.random.default_rng(seed).integers(40, 255, (3, 6, 8, 3), dtype=np.uint8)
    return coarse.repeat(side, 1).repeat(side, 2).repeat(length // 3, 0)


def distance(one: Path, other: Path) -> int:
    return int(np.bitwise_count(fingerprint(one) ^ fingerprint(other)).sum())


@pytest.fixture
def original(tmp_path: Path, write_clip: WriteClip) -> Path:
    return write_clip(tmp_path / "original.mp4", scenes(0), codec="mpeg4")


def bars(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(frames, ((0, 0), (0, 0), (16, 16), (0, 0)))


def grey(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frames.mean(axis=-1, keepdims=True).astype(np.uint8).repeat(3, -1)


def brighter(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (20 + frames * 0.8).astype(np.uint8)


def logo(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    marked = frames.copy()
    marked[:, 4:10, 4:10] = 255
    return marked


@pytest.mark.parametrize("change", [bars, grey, brighter, logo])
def test_a_changed_copy_is_near(
    tmp_path: Path, write_clip: WriteClip, original: Path, change: Callable[..., NDArray[np.uint8]]
) -> None:
    assert distance(original, write_clip(tmp_path / "copy.avi", change(scenes(0)))) <= 3 * NEAR


def test_other_sizes_codecs_containers_and_rates_are_near(
    tmp_path: Path, write_clip: WriteClip, original: Path
) -> None:
    for name, side, length, codec, fps in (
        ("larger.mkv", 16, 30, "mpeg4", 10),
        ("other.mpg", 8, 30, "mpeg2video", 25),
        ("smooth.mp4", 8, 75, "mpeg4", 25),
    ):
        copy = write_clip(tmp_path / name, scenes(0, side, length), codec=codec, fps=fps)
        assert distance(original, copy) <= 3 * NEAR, name


def test_another_clip_is_far(tmp_path: Path, write_clip: WriteClip, original: Path) -> None:
    for seed in range(1, 6):
        other = write_clip(tmp_path / f"{seed}.mp4", scenes(seed))
        assert distance(original, other) > 3 * NEAR + 15


def test_one_scene_of_three_in_common_is_not_enough(
    tmp_path: Path, write_clip: WriteClip, original: Path
) -> None:
    mixed = scenes(1)
    mixed[10:20] = scenes(0)[10:20]
    other = write_clip(tmp_path / "mixed.mp4", mixed)
    bits = np.unpackbits(fingerprint(original) ^ fingerprint(other)).reshape(3, 64).sum(axis=1)
    assert bits[1] <= 8 and bits[0] > 20 and bits[2] > 20


def test_the_bits_of_a_picture_by_hand(tmp_path: Path, write_clip: WriteClip) -> None:
    """A picture that is bright on the left has its first horizontal wave above the median."""
    frames = np.full((9, 64, 64, 3), 60, np.uint8)
    frames[:, :, :32] = 200
    bits = np.unpackbits(fingerprint(write_clip(tmp_path / "left.avi", frames))).reshape(3, 8, 8)
    assert bits[:, 0, 0].all() and bits[:, 0, 1].all()
    frames = frames[:, :, ::-1]
    bits = np.unpackbits(fingerprint(write_clip(tmp_path / "right.avi", frames))).reshape(3, 8, 8)
    assert bits[:, 0, 0].all() and not bits[:, 0, 1].any()


def test_flat_pictures(tmp_path: Path, write_clip: WriteClip) -> None:
    frames = scenes(0)
    frames[:10] = 90
    one_flat = fingerprint(write_clip(tmp_path / "one.avi", frames))
    assert not one_flat[:8].any() and one_flat[8] & 128 and one_flat[16] & 128
    frames[10:20] = 30
    assert not fingerprint(write_clip(tmp_path / "two.avi", frames)).any()
    assert not fingerprint(write_clip(tmp_path / "black.avi", np.zeros_like(frames))).any()


def test_what_does_not_decode_has_none(tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"RIFF" + bytes(200))
    for name in ("broken.avi", "nowhere.mp4"):
        print_ = fingerprint(tmp_path / name)
        assert print_.shape == (24,) and not print_.any()


def test_a_clip_of_one_frame(tmp_path: Path, write_clip: WriteClip) -> None:
    one = fingerprint(write_clip(tmp_path / "one.avi", scenes(0)[:1]))
    assert (one.reshape(3, 8) == one[:8]).all() and one.any()

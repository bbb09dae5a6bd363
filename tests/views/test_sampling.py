import numpy as np
import pytest

from chain.views.sampling import sample_frames, uniform_frames

CASES = [(16, 8), (17, 5), (30, 25), (7, 3), (10, 1), (9, 9), (1, 1)]


def drawn(kind: str, batch: int, dense: int, frames: int, seed: int = 0) -> np.ndarray:
    return sample_frames(kind, batch, dense, frames, np.random.default_rng(seed))


@pytest.mark.parametrize(("dense", "frames"), CASES)
@pytest.mark.parametrize("kind", ["segment", "random", "consecutive"])
def test_indices_ascend_within_the_clip(kind: str, dense: int, frames: int) -> None:
    chosen = drawn(kind, 500, dense, frames)
    assert chosen.shape == (500, frames) and chosen.dtype == np.int64
    assert chosen.min() >= 0 and chosen.max() < dense
    assert (np.diff(chosen, axis=1) > 0).all()
    assert set(chosen.ravel()) == set(range(dense))  # every frame has its chance


@pytest.mark.parametrize(("dense", "frames"), CASES)
def test_segment_takes_one_frame_of_each(dense: int, frames: int) -> None:
    """The segments partition the clip into parts whose lengths differ by one at most."""
    bounds = [k * dense // frames for k in range(frames + 1)]
    lengths = np.diff(bounds)
    assert bounds[0] == 0 and bounds[-1] == dense and np.ptp(lengths) <= 1
    for row in drawn("segment", 300, dense, frames):
        for k, frame in enumerate(row):
            assert bounds[k] <= frame < bounds[k + 1]


def test_segment_is_uniform_within_its_segment() -> None:
    chosen = drawn("segment", 6000, 17, 5)
    for k in range(5):
        low, high = k * 17 // 5, (k + 1) * 17 // 5
        counts = np.bincount(chosen[:, k] - low, minlength=high - low)
        assert np.abs(counts / 6000 - 1 / (high - low)).max() < 0.03


def test_segments_are_drawn_apart() -> None:
    chosen = drawn("segment", 6000, 16, 8)
    odd = chosen - 2 * np.arange(8)  # the coin of each segment
    assert np.abs(np.corrcoef(odd.T) - np.eye(8)).max() < 0.05


def test_random_draws_every_frame_equally_often() -> None:
    chosen = drawn("random", 6000, 12, 4)
    assert all(len(set(row)) == 4 for row in chosen)
    counts = np.bincount(chosen.ravel(), minlength=12)
    assert np.abs(counts / 6000 - 4 / 12).max() < 0.03


def test_consecutive_takes_neighbours_from_every_start() -> None:
    chosen = drawn("consecutive", 6000, 12, 4)
    assert (np.diff(chosen, axis=1) == 1).all()
    counts = np.bincount(chosen[:, 0])
    assert len(counts) == 9 and np.abs(counts / 6000 - 1 / 9).max() < 0.03


@pytest.mark.parametrize("kind", ["segment", "random", "consecutive"])
def test_all_frames_is_the_whole_clip(kind: str) -> None:
    assert (drawn(kind, 3, 6, 6) == np.arange(6)).all()


@pytest.mark.parametrize("kind", ["segment", "random", "consecutive"])
def test_draws_follow_the_generator(kind: str) -> None:
    first, second = drawn(kind, 20, 30, 8, seed=1), drawn(kind, 20, 30, 8, seed=1)
    assert (first == second).all()
    assert (first != drawn(kind, 20, 30, 8, seed=2)).any()


@pytest.mark.parametrize("kind", ["segment", "random", "consecutive"])
def test_more_frames_than_there_are(kind: str) -> None:
    with pytest.raises(ValueError, match="can't draw 9 frames from 8"):
        drawn(kind, 1, 8, 9)


def test_uniform_frames_are_midpoints() -> None:
    assert uniform_frames(16, 4).tolist() == [2, 6, 10, 14]
    assert uniform_frames(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert uniform_frames(9, 1).tolist() == [4]
    assert uniform_frames(7, 3).tolist() == [1, 3, 5]


@pytest.mark.parametrize(("dense", "frames"), CASES)
def test_uniform_frames_are_distinct_and_inside(dense: int, frames: int) -> None:
    chosen = uniform_frames(dense, frames)
    assert chosen.shape == (frames,) and chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all() and chosen[0] >= 0 and chosen[-1] < dense
    assert (chosen + chosen[::-1] >= dense - 2).all()  # centred, up to rounding down

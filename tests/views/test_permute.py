import numpy as np
import pytest

from chain.views.order import permute

CASES = [(8, 0.5, 4), (8, 1.0, 8), (8, 0.25, 2), (8, 0.01, 2), (5, 0.5, 2), (25, 0.3, 8), (2, 1, 2)]


def drawn(clips: int, frames: int, share: float, seed: int = 0) -> np.ndarray:
    return permute(clips, frames, share, np.random.default_rng(seed))


@pytest.mark.parametrize(("frames", "share", "moved"), CASES)
def test_every_chosen_frame_moves_and_the_others_stay(
    frames: int, share: float, moved: int
) -> None:
    order = drawn(400, frames, share)
    assert order.shape == (400, frames) and order.dtype == np.int64
    assert (np.sort(order, axis=1) == np.arange(frames)).all()  # each frame once
    assert ((order != np.arange(frames)).sum(axis=1) == moved).all()


@pytest.mark.parametrize(("frames", "share", "moved"), CASES)
def test_the_chosen_frames_move_along_one_cycle(frames: int, share: float, moved: int) -> None:
    for order in drawn(50, frames, share):
        start = int(np.flatnonzero(order != np.arange(frames))[0])
        place, steps = int(order[start]), 1
        while place != start:
            place, steps = int(order[place]), steps + 1
        assert steps == moved


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_every_frame_is_found_at_every_place_equally_often(share: float) -> None:
    clips, frames = 12_000, 6
    moved = round(share * frames)
    counts = np.zeros((frames, frames), int)
    np.add.at(counts, (drawn(clips, frames, share), np.arange(frames)), 1)
    expected = np.full((frames, frames), clips * moved / frames / (frames - 1))
    np.fill_diagonal(expected, clips * (1 - moved / frames))
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_clips_are_permuted_on_their_own_and_as_the_generator_says() -> None:
    first = drawn(100, 8, 0.5)
    assert len({tuple(order) for order in first.tolist()}) > 80
    assert (drawn(100, 8, 0.5) == first).all()
    assert not (drawn(100, 8, 0.5, seed=1) == first).all()
    assert drawn(0, 8, 0.5).shape == (0, 8)


def test_one_frame_has_no_order() -> None:
    with pytest.raises(ValueError, match="a clip of one frame has no order"):
        drawn(3, 1, 1.0)

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from chain.datasets.demo import difficulty
from chain.datasets.demo.categories import CATEGORIES, Category
from chain.datasets.demo.drawing import draw_clip

SIZE, FPS = 48, 12
TWINS = [category for category in CATEGORIES if category.flipped]


def named(name: str) -> Category:
    return next(category for category in CATEGORIES if category.name == name)


def drawn(category: Category, seed: int = 0) -> np.ndarray:
    return draw_clip(category, SIZE, FPS, np.random.default_rng(seed))


def cut_between(first: np.ndarray, second: np.ndarray) -> int:
    """The one place where `second` is `first` with its two parts swapped."""
    cuts = [
        cut
        for cut in range(1, len(first))
        if np.array_equal(second, np.concatenate([first[cut:], first[:cut]]))
    ]
    assert len(cuts) == 1
    return cuts[0]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_two_of_a_pair_differ_in_temporal_order_only(twin: Category, seed: int) -> None:
    first, second = drawn(named(twin.pair), seed), drawn(twin, seed)
    assert not np.array_equal(first, second)
    assert Counter(f.tobytes() for f in first) == Counter(f.tobytes() for f in second)
    if len(twin.shots) == 1:
        np.testing.assert_array_equal(second, first[::-1])
    else:
        cut = cut_between(first, second)
        assert 0.3 - 0.5 / len(first) <= cut / len(first) <= 0.7 + 0.5 / len(first)


def test_a_disc_rises_and_its_twin_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """In screen rows, of the pixels that differ from the frame without the disc."""
    for constant in ("SCENE_SWAP", "SUBJECT_SWAP", "RECUT", "SHAKE", "CAMERA", "GRAIN"):
        monkeypatch.setattr(difficulty, constant, 0.0)
    monkeypatch.setattr(difficulty, "CLUTTER", 0)
    for name, empty, sign in (("disc-rising", 0, -1), ("disc-falling", -1, 1)):
        clip = drawn(named(name)).astype(int)
        moved = np.abs(clip - clip[empty]).sum(axis=3) > 60  # (T, S, S)
        rows = np.arange(SIZE)[None, :, None]
        seen = [i for i in range(len(clip)) if moved[i].sum() > 20]
        height = [(moved[[i]] * rows).sum() / moved[i].sum() for i in (seen[0], seen[-1])]
        assert sign * (height[1] - height[0]) > SIZE / 4


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_every_category_draws_moving_pictures(category: Category) -> None:
    clip = drawn(category)
    assert clip.dtype == np.uint8
    assert clip.shape[1:] == (48, 48, 3)
    assert 2 <= len(clip) / FPS <= 4
    assert clip.std() > 10
    assert all((a != b).any() for a, b in pairwise(clip))
    assert clip.shape != drawn(category, seed=1).shape or (clip != drawn(category, seed=1)).any()

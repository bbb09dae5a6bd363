from math import comb

import numpy as np
import pytest

from chain.analysis import joins
from chain.analysis.joins import Joins, cut_scores, draw_joins, join_scores
from chain.scenes.clustering import SceneConfig

CONFIG = SceneConfig(preference=4.0, damping=0.5, temperature=0.2)


def two(cuts: list[int]) -> Joins:
    return Joins(np.array([0, 2]), np.array([1, 0]), np.array(cuts))


def slow_adjusted_rand(first: list[int], second: list[int]) -> float:
    """By pairs of frames: how many are together in both, in the one and in the other."""
    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    one = sum(first[i] == first[j] for i, j in pairs)
    other = sum(second[i] == second[j] for i, j in pairs)
    both = sum(first[i] == first[j] and second[i] == second[j] for i, j in pairs)
    expected = one * other / comb(len(first), 2)
    return (both - expected) / ((one + other) / 2 - expected)


def test_a_join_has_the_first_frames_of_one_and_the_last_of_the_other() -> None:
    frames = 10 * np.arange(3)[:, None] + np.arange(5)
    assert two([2, 4]).of(frames).tolist() == [[0, 1, 12, 13, 14], [20, 21, 22, 23, 4]]
    features = np.stack([frames, -frames], axis=2)
    assert (two([2, 4]).of(features)[:, :, 1] == -two([2, 4]).of(frames)).all()


def test_joins_are_of_different_categories_and_cut_in_the_middle() -> None:
    labels = ["a", "a;b", "b", "c", "", "c", "a"]
    drawn = draw_joins(labels, 20, seed=0, count=2000)
    for first, second in zip(drawn.first, drawn.second, strict=True):
        assert first != second
        shared = set(labels[first].split(";")) & set(labels[second].split(";"))
        assert shared <= {""}
    assert set(drawn.first) == set(drawn.second) == set(range(7))
    assert drawn.cuts.dtype == np.int64
    assert set(drawn.cuts) == set(range(6, 15))
    assert np.bincount(drawn.cuts).max() < 2 * 2000 / 8


@pytest.mark.parametrize("labels", [["", "", ""], ["a", "a", "a"]])
def test_without_another_category_any_two_clips_are_joined(labels: list[str]) -> None:
    drawn = draw_joins(labels, 20, seed=0, count=200)
    pairs = set(zip(drawn.first.tolist(), drawn.second.tolist(), strict=True))
    assert pairs == {(i, j) for i in range(3) for j in range(3) if i != j}


def test_joins_follow_their_seed_and_short_clips_are_cut_too() -> None:
    first, same, other = (draw_joins(["a", "b", "c"], 16, seed) for seed in (1, 1, 2))
    assert len(first.first) == len(first.cuts) == joins.COUNT
    for name in ("first", "second", "cuts"):
        assert (getattr(first, name) == getattr(same, name)).all()
        assert not (getattr(first, name) == getattr(other, name)).all()
    assert set(draw_joins(["a", "b"], 2, seed=0).cuts) == {1}
    assert set(draw_joins(["a", "b"], 3, seed=0).cuts) == {1, 2}
    with pytest.raises(ValueError, match="empty"):
        draw_joins(["a"], 16, seed=0)


def test_scores_by_hand() -> None:
    assert cut_scores(np.array([[0, 0, 1, 1, 1]]), np.array([2])) == {
        "adjusted_rand": 1,
        "uncrossed": 1,
        "scenes": 2,
    }
    assert cut_scores(np.array([[0, 0, 0, 0]]), np.array([2])) == {
        "adjusted_rand": 0,
        "uncrossed": 0,
        "scenes": 1,
    }
    every = cut_scores(np.array([[0, 1, 2, 3]]), np.array([2]))  # a scene for each frame
    assert every == {"adjusted_rand": 0, "uncrossed": 1, "scenes": 4}
    crossing = cut_scores(np.array([[0, 0, 0, 1, 1], [2, 2, 5, 5, 7]]), np.array([2, 2]))
    assert crossing["uncrossed"] == 0.5
    assert crossing["scenes"] == 2.5
    missing = cut_scores(np.array([[-1, -1, -1, -1]]), np.array([2]))
    assert missing == {"adjusted_rand": 0, "uncrossed": 0, "scenes": 1}


def test_adjusted_rand_equals_slow_twin() -> None:
    random = np.random.default_rng(0)
    scenes, cuts = random.integers(4, size=(30, 12)), random.integers(1, 12, size=30)
    slow = [
        slow_adjusted_rand([int(place >= cut) for place in range(12)], found)
        for found, cut in zip(scenes.tolist(), cuts.tolist(), strict=True)
    ]
    assert cut_scores(scenes, cuts)["adjusted_rand"] == pytest.approx(np.mean(slow))


def planted(clips: int = 6, frames: int = 12, spread: float = 0.05) -> np.ndarray:
    """Each clip is one scene: a direction of its own, and a little noise about it."""
    random = np.random.default_rng(0)
    centres = np.eye(16)[:clips, None]
    return (centres + spread * random.normal(size=(clips, frames, 16))).astype(np.float16)


def test_planted_scenes_are_found() -> None:
    drawn = draw_joins(list("abcdef"), 12, seed=0, count=40)
    table = join_scores(planted(), drawn, CONFIG)
    assert list(table) == ["preference", "adjusted_rand", "uncrossed", "scenes", "unjoined"]
    assert table.to_numpy().tolist() == [[2, 1, 1, 2, 1], [4, 1, 1, 2, 1], [8, 1, 1, 2, 1]]


def test_a_larger_preference_makes_fewer_scenes() -> None:
    random = np.random.default_rng(1)
    clean = planted() + random.normal(size=(6, 12, 16)).astype(np.float16) / 10
    config = CONFIG.model_copy(update={"preference": 1.0})
    table = join_scores(clean, draw_joins(list("abcdef"), 12, seed=0, count=40), config)
    assert (table["scenes"].diff().dropna() < 0).all()
    assert (table["unjoined"].diff().dropna() < 0).all()


def test_frames_that_do_not_tell_the_clips_apart_score_0() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(size=(6, 12, 16)).astype(np.float16)
    table = join_scores(noise, draw_joins(list("abcdef"), 12, seed=0, count=60), CONFIG)
    assert (table["adjusted_rand"].abs() < 0.15).all()
    assert (table["uncrossed"] < 0.5).all()


def test_the_unjoined_clips_are_those_that_come_first() -> None:
    """Clip 0 has two scenes, the others have one; joins that begin with clip 0 alone count it."""
    clean = planted()
    clean[0, 6:] = planted(7)[6, 6:]
    drawn = draw_joins(list("abcdef"), 12, seed=0, count=30)
    begin = Joins(np.zeros(30, np.int64), np.full(30, 2), drawn.cuts)
    others = Joins(np.full(30, 2), np.zeros(30, np.int64), drawn.cuts)
    with_two, with_one = (join_scores(clean, one, CONFIG)["unjoined"] for one in (begin, others))
    assert with_two.tolist() == [2, 2, 2]
    assert with_one.tolist() == [1, 1, 1]

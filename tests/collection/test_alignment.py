"""Copies agree along a line in time, clips of one scene do not."""

from typing import get_args

import numpy as np
import pytest
from moving_scenes import SIDE, every, film, shoot

from chain.collection import alignment
from chain.collection.alignment import (
    WHOLE,
    Film,
    Line,
    Turn,
    Window,
    agreement,
    align,
    span,
    turned,
)
from chain.collection.copies import LEAST

TIMES = every(0.25, 0, 4)


def clip(scene=0, action=0, times=TIMES):
    return film(shoot(scene, action, times), times)


def similarity(first, second):
    found = align(first, second)
    return found.agreement.similarity if found else 0.0


def slow_agreement(first, second, start, speed):
    """A twin with loops, for a second video with fewer frames a second, and all frames visible."""
    pairs = []
    for time, picture in zip(second.times, second.whole, strict=True):
        at = start + speed * time
        if not first.times[0] - first.step / 2 < at < first.times[-1] + first.step / 2:
            continue
        after = min(max(int(np.searchsorted(first.times, at)), 1), len(first.times) - 1)
        before, gap = first.times[after - 1], first.times[after] - first.times[after - 1]
        share = min(max((at - before) / gap, 0), 1)
        pairs.append(((1 - share) * first.whole[after - 1] + share * first.whole[after], picture))
    x, y = np.array(pairs).swapaxes(0, 1)
    w = [np.linalg.norm(a) * np.linalg.norm(b) for a, b in pairs]
    frames = sum(w)
    w = np.array(w)[:, None] / frames
    still = (w * x * y).sum() / np.sqrt((w * x * x).sum() * (w * y * y).sum())
    x, y = x - (w * x).sum(0), y - (w * y).sum(0)
    energies = (w * x * x).sum(), (w * y * y).sum()
    return (
        frames,
        still,
        (w * x * y).sum() / np.sqrt(energies[0] * energies[1]),
        min(energies) ** 0.5,
    )


@pytest.mark.parametrize(("start", "speed"), [(0.0, 1.0), (-0.8, 1.0), (0.3, 1.25), (1.1, 0.9)])
def test_agreement_is_that_of_loops(start, speed):
    first, second = clip(0, 1, every(0.2, 0, 4)), clip(0, 2, every(0.25, 0, 3))
    found = agreement(first, second, Line(start, speed), WHOLE, WHOLE)
    assert found == pytest.approx(slow_agreement(first, second, start, speed), rel=1e-3)


def test_agreement_does_not_depend_on_which_is_first():
    first, second = clip(0, 1, every(0.2, 0, 4)), clip(0, 1, every(0.3, 1, 3))
    one = agreement(first, second, Line(0, 1), WHOLE, WHOLE)
    assert one == pytest.approx(agreement(second, first, Line(0, 1), WHOLE, WHOLE), rel=1e-5)


def test_an_embedded_copy_at_another_speed_is_found_with_its_place():
    inner = shoot(0, 0, every(0.1, 0, 4))
    pictures = [shoot(5, 5, every(0.1, 0, 2)), inner, shoot(6, 6, every(0.1, 0, 1.6))]
    longer = film(np.concatenate(pictures), every(0.1, 0, 7.6) * 0.8)  # a quarter faster
    found = align(clip(), longer)
    assert found.agreement.similarity > 0.97
    assert found.line.speed == pytest.approx(1.25, rel=0.03)
    assert span(found, clip(), longer) == pytest.approx((0, 4, 1.6, 4.8), abs=0.15)
    assert align(longer, clip()).line.speed == pytest.approx(0.8, rel=0.05)


def test_the_span_of_what_agrees():
    part = film(shoot(0, 0, every(0.1, 1, 3)), every(0.1, 0, 2))
    found = align(clip(), part)
    assert span(found, clip(), part) == pytest.approx((1, 3, 0, 2), abs=0.15)


@pytest.mark.parametrize("seed", range(6))
def test_another_action_in_the_same_scene_is_no_copy(seed):
    first, other, copy = clip(seed, 10 + seed), clip(seed, 30 + seed), clip(seed, 10 + seed)
    assert align(first, other).agreement.still > 0.5  # they look alike
    assert similarity(first, other) < LEAST < 0.98 < similarity(first, copy)


def test_another_scene_is_no_copy():
    assert max(similarity(clip(seed, seed), clip(seed + 1, seed + 40)) for seed in range(4)) < LEAST


def backwards(pictures):
    return pictures[::-1]


def logo(pictures):
    marked = pictures.copy()
    marked[:, 5:25, 5:25] = 250
    marked[:, 10:12, 5:25] = 0
    return marked


EDITS = {
    "crop": lambda pictures: pictures[:, 10:86, 10:86],
    "corner": lambda pictures: pictures[:, 19:, 19:],
    "letterbox": lambda pictures: np.pad(pictures, ((0, 0), (16, 16), (16, 16), (0, 0))),
    "dark": lambda pictures: (pictures * 0.6 + 10).astype(np.uint8),
    "logo": logo,
    "noise": lambda pictures: (
        (pictures + np.random.default_rng(0).normal(0, 8, pictures.shape))
        .clip(0, 255)
        .astype(np.uint8)
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_are_copies(edit):
    found = align(clip(3, 4), film(EDITS[edit](shoot(3, 4, TIMES)), TIMES))
    assert found.agreement.similarity > LEAST
    if edit in ("crop", "corner"):
        expected = Window(10 / SIDE, 86 / SIDE, 10 / SIDE, 86 / SIDE)
        expected = expected if edit == "crop" else Window(0.2, 1.0, 0.2, 1.0)
        assert found.first == pytest.approx(expected, abs=0.05) and found.second == WHOLE


def test_backwards_is_no_copy():
    assert similarity(clip(2, 3), film(backwards(shoot(2, 3, TIMES)), TIMES)) < LEAST


def test_black_and_flat_frames_do_not_count():
    black = np.zeros((12, SIDE, SIDE, 3), np.uint8)
    times = every(0.25, 0, 7)

    def led_in(scene, action):
        return film(np.concatenate([black, shoot(scene, action, TIMES)]), times)

    assert similarity(led_in(0, 0), led_in(1, 1)) < LEAST
    assert similarity(led_in(0, 0), led_in(0, 1)) < LEAST
    assert similarity(led_in(0, 0), clip(0, 0)) > 0.98
    assert align(film(black, times[:12]), film(black, times[:12])) is None
    assert align(film(black, times[:12]), clip()) is None


def test_a_shared_intro_does_not_join():
    intro, times = shoot(8, 8, every(0.25, 0, 1.5)), every(0.25, 0, 5.5)
    one, other = (film(np.concatenate([intro, shoot(seed, seed, TIMES)]), times) for seed in (1, 2))
    assert similarity(one, other) < LEAST


def test_a_picture_that_does_not_move():
    still = np.repeat(shoot(0, 0, TIMES[:1]), 16, axis=0)
    other = np.repeat(shoot(1, 1, TIMES[:1]), 16, axis=0)
    found = align(film(still, TIMES), film(still, TIMES)).agreement
    assert not found.moves and found.similarity > 0.99
    assert similarity(film(still, TIMES), film(other, TIMES)) < 0.9


@pytest.mark.parametrize("turn", get_args(Turn))
def test_turned_copies_agree_once_they_are_turned(turn):
    pictures = shoot(2, 2, TIMES)
    grey = pictures[..., 0].astype(np.float32)
    copy = film(np.repeat(turned(grey, turn).astype(np.uint8)[..., None], 3, axis=-1), TIMES)
    back: dict[Turn, Turn] = {"left": "right", "right": "left"}
    assert similarity(clip(2, 2), copy.turned(back.get(turn, turn))) > 0.99
    assert (similarity(clip(2, 2), copy) > LEAST) == (turn == "")


def test_turns_are_eight_and_their_inverses_are_known():
    grey = np.random.default_rng(0).random((1, 4, 4)).astype(np.float32)
    turns = {turn: turned(grey, turn).tobytes() for turn in get_args(Turn)}
    assert len(set(turns.values())) == 8
    back: dict[Turn, Turn] = {"left": "right", "right": "left"}
    for turn in turns:
        np.testing.assert_array_equal(turned(turned(grey, turn), back.get(turn, turn)), grey)


def test_a_film_of_one_frame_has_nothing_to_compare():
    assert align(clip(0, 0, TIMES[:1]), clip()) is None
    assert isinstance(clip(0, 0, TIMES[:1]), Film)


def test_a_clip_is_found_in_a_long_film_in_little_memory(monkeypatch):
    monkeypatch.setattr(alignment, "CELLS", 500)
    parts = [shoot(10 + number, number, every(0.25, 0, 5)) for number in range(12)]
    times = every(0.25, 0, 60)
    long = film(np.concatenate([*parts[:7], shoot(0, 0, every(0.25, 0, 5)), *parts[8:]]), times)
    found = align(clip(), long)
    assert found.agreement.similarity > 0.98
    assert span(found, clip(), long)[2:] == pytest.approx((35, 39), abs=0.3)
    monkeypatch.setattr(alignment, "LONGEST", 32)  # the middle 8 of 60 seconds
    assert align(long, long).agreement.similarity > 0.99


def test_the_inverse_of_an_alignment():
    part = film(shoot(0, 0, every(0.1, 1, 3.5)), every(0.1, 0, 2.5) / 1.25)
    one, other = align(clip(), part), align(part, clip())
    assert other == one.inverse() and one.inverse().inverse().line == pytest.approx(one.line)
    assert span(one, clip(), part) == pytest.approx(
        (*span(other, part, clip())[2:], *span(other, part, clip())[:2]), abs=1e-6
    )

"""Pairs that may be copies."""

import numpy as np
from moving_scenes import every, film, shoot

from chain.collection import candidates
from chain.collection.alignment import turned
from chain.collection.calibration import Chance
from chain.collection.candidates import by_codes, by_pictures, picture_keys
from chain.collection.segments import Segments

TIMES = every(0.25, 0, 4)


def segments(codes, owner, whole):
    owner = np.asarray(owner, np.int32)
    ids = np.array([f"id {row}" for row in range(owner.max() + 1)])
    times = np.zeros(len(owner), np.float32)
    return Segments(ids, owner, times, times + 1, np.asarray(whole), codes)


def test_near_codes_are_those_within_the_chance_distance():
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (400, 8), dtype=np.uint8)
    codes[7] = codes[3] ^ np.uint8(1)  # 8 bits
    owner = np.arange(400)
    limit = Chance.fit(codes, owner).distance_for(candidates.PER_CODE, 400)
    expected = set()
    for one in range(400):
        apart = np.bitwise_count(codes ^ codes[one]).sum(axis=1)
        for other in np.argsort(apart, kind="stable")[: candidates.NEAREST]:
            if apart[other] <= limit and other != one:
                expected.add((min(one, int(other)), max(one, int(other)), ""))
    found = by_codes(segments(codes, owner, np.ones(400, bool)), owner)
    assert (3, 7, "") in found
    assert len(found & expected) > 0.97 * len(found | expected)  # ties at the last place differ


def test_segments_are_compared_with_segments():
    codes = np.random.default_rng(0).integers(0, 256, (300, 8), dtype=np.uint8)
    codes[2] = codes[4]  # a segment of video 0, and the whole of video 1, which has no segments
    owner = [0, 0, 0, 0, *range(1, 297)]
    found = by_codes(
        segments(codes, owner, [True, False, False, False] + [True] * 296), np.arange(297)
    )
    assert (0, 1, "") in found
    assert all(one < other for one, other, _ in found)


def test_pictures_find_parts_crops_and_turned_copies():
    films = [film(shoot(seed, seed, TIMES), TIMES) for seed in range(30)]
    films.append(film(shoot(3, 3, TIMES[6:12]), TIMES[:6]))
    films.append(film(shoot(4, 4, TIMES)[:, 10:86, 10:86], TIMES))
    films.append(film(shoot(5, 5, TIMES)[:, :, ::-1], TIMES))
    found = by_pictures(films, [""], np.arange(len(films)))
    assert {(3, 30, ""), (4, 31, "")} <= found and (5, 32, "") not in found
    assert len(found) < 150  # of 528 pairs
    assert (5, 32, "mirrored") in by_pictures(films, ["", "mirrored"], np.arange(len(films)))


def test_a_quarter_turn_is_told_from_both_sides():
    films = [film(shoot(seed, seed, TIMES), TIMES) for seed in range(12)]
    films.append(films[2].turned("left"))
    assert (2, 12, "right") in by_pictures(
        films, ["left"], np.arange(len(films))
    )  # turned to the right, it is the same
    assert (2, 12, "right") in by_pictures(films, ["right"], np.arange(len(films)))


def test_flat_frames_have_no_key():
    flat = film(np.full((16, 96, 96, 3), 90, np.uint8), TIMES)
    clip = film(shoot(0, 0, TIMES), TIMES)
    other = film(shoot(1, 1, TIMES), TIMES)
    assert by_pictures([flat, flat, clip], [""], np.arange(3)) == set()
    found = by_pictures([flat, clip, other], [""], np.arange(3))
    assert all(one > 0 for one, _, _ in found)


def test_a_key_has_the_signs_of_the_waves():
    x = np.arange(12)[None].repeat(12, axis=0)
    wave = np.cos(np.pi * (x + 0.5) / 12 * 3).astype(np.float32)[None]  # frequency 3 across
    key = np.unpackbits(picture_keys(100 + 20 * wave), axis=1).reshape(8, 8)
    assert key[0, 3] == 1 and key[0, 0] == 0
    negative = np.unpackbits(picture_keys(100 - 20 * wave), axis=1).reshape(8, 8)
    assert negative[0, 3] == 0
    assert turned(wave, "half").shape == wave.shape


def test_known_copies_are_no_chance(monkeypatch):
    """A collection in which each video has fourteen copies, of which one is further off."""
    monkeypatch.setattr(candidates, "PER_CODE", 10.0)
    codes = np.random.default_rng(0).integers(0, 256, (20, 8), dtype=np.uint8).repeat(15, axis=0)
    codes[14::15, 0] ^= 0b1111
    owner, whole = np.arange(300), np.ones(300, bool)
    assert (0, 14, "") not in by_codes(segments(codes, owner, whole), owner)
    copies = np.where(owner % 15 == 14, owner, owner // 15 * 15)
    assert (0, 14, "") in by_codes(segments(codes, owner, whole), copies)

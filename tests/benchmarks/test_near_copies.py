"""The edits that make near copies, and how they are counted."""

import numpy as np

from benchmarks.copies import false_pairs, within
from benchmarks.near_copies import EDITS, make, read, write


def frames(count, value):
    return np.full((count, 40, 64, 3), value, np.uint8)


def test_every_edit_gives_a_clip(tmp_path):
    clip = np.concatenate([frames(6, 40), frames(6, 120), frames(6, 220)])
    others = [write(tmp_path / f"{n}.mp4", frames(5, 100), 25, 20) for n in range(4)]
    clips = [write(tmp_path / f"clip{n}.mp4", clip, 25, 20) for n in range(2)]
    made = make(clips, others, tmp_path)
    shapes = {name: [read(path)[0].shape[:3] for path in made[name]] for name in EDITS}
    assert shapes["scaled"] == [(18, 20, 32)] * 2
    assert shapes["cropped"] == [(18, 32, 52), (18, 32, 52)]
    assert shapes["bars"] == [(18, 52, 64), (18, 40, 84)]
    assert shapes["third"] == [(6, 40, 64)] * 2
    assert shapes["embedded"] == [(28, 40, 64)] * 2
    assert shapes["rotated"] == [(18, 64, 40), (18, 64, 40)]
    assert [read(path)[1] for path in made["speed"]] == [31.25, 20]
    assert abs(int(read(made["third"][1])[0].mean()) - 120) < 5  # the middle one
    backwards = read(made["backwards"][0])[0].mean(axis=(1, 2, 3))
    assert backwards[0] > 200 > 60 > backwards[-1]
    assert make(clips, [], tmp_path) == made  # what is there stays


def test_the_loosest_limit_that_makes_no_more_false_pairs():
    distances = {"a": np.array([[1, 5, 9], [4, 2, 8], [7, 6, 5.5]])}
    for allowed in range(7):
        found = within(distances, allowed)
        assert false_pairs(found) == allowed
    assert np.diag(within(distances, 0)["a"]).tolist() == [True, True, False]
    assert np.diag(within(distances, 2)["a"]).tolist() == [True, True, True]

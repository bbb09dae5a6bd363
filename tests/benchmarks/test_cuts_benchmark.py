"""Videos that are joined from clips, and what is asked of them."""

import numpy as np
import pytest

from benchmarks.cuts import asked, found_cuts, join
from benchmarks.near_copies import read, write
from chain.collection import Segmenting

RATE = 30
LENGTHS = [24, 30, 36, 30]
LEVELS = [20, 90, 160, 240]


@pytest.fixture
def videos(tmp_path):
    clips = []
    for length, level in zip(LENGTHS, LEVELS, strict=True):
        frames = np.full((length, 40, 64, 3), level, np.uint8)
        clips.append(write(tmp_path / f"{level}.mp4", frames, RATE, 20))
    return join([*clips, *clips[::-1], clips[0]], 4, tmp_path)  # the last clip is one too many


def test_where_the_cuts_of_joined_videos_are(videos):
    assert len(videos) == 2
    np.testing.assert_allclose(videos[0].edges * RATE, [0, 24, 54, 90, 120])
    np.testing.assert_allclose(videos[1].edges * RATE, [0, 30, 66, 96, 120])
    for video in videos:
        assert len(read(video.path)[0]) == 120
        found, step, duration = found_cuts(video.path, Segmenting(1, 0.5))
        np.testing.assert_allclose(found, video.edges[1:-1], atol=step)
        assert duration == pytest.approx(4)


def test_queries_are_what_the_videos_show_at_that_time(videos, tmp_path):
    queries = asked(videos, 4, tmp_path)
    assert [len(some) for some in queries.values()] == [4, 4, 4]
    whole, middle, across = (some[0] for some in queries.values())
    assert (whole.start * RATE, whole.end * RATE) == pytest.approx((0, 24))
    assert (middle.start * RATE, middle.end * RATE) == pytest.approx((4, 20))
    assert (across.start * RATE, across.end * RATE) == pytest.approx((8, 24 + 20))
    for query in (one for some in queries.values() for one in some):
        first, last = round(query.start * RATE), round(query.end * RATE)
        expected = read(query.video)[0][first:last].mean(axis=(1, 2, 3))
        shown = read(query.path)[0]
        assert shown.shape[1:3] == (20, 32)
        np.testing.assert_allclose(shown.mean(axis=(1, 2, 3)), expected, atol=3)

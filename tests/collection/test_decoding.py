"""The frames of long videos against those that are read at once."""

import numpy as np
import pytest

from chain.collection.decoding import Reading, midmost_of
from chain.collection.segmenting import Segmenting
from chain.core.errors import InputError
from chain.video.decode import midpoints, read_clip

D, S = 6, 40


def read(path, segmenting):
    reading = Reading(path, D, S, segmenting)
    batches = list(reading)
    places = np.concatenate([batch.places for batch in batches])
    images = np.concatenate([batch.images for batch in batches])
    assert sorted(places) == list(range(len(reading.times)))
    assert all(len(batch.images) == D for batch in batches)
    assert [batch.whole for batch in batches] == [False] * (len(batches) - 1) + [True]
    return reading, images[places.argsort()], batches[-1]


@pytest.mark.parametrize(
    "suffix, codec", [(".mp4", "mpeg4"), (".avi", "mpeg4"), (".mkv", "libx264")]
)
def test_long_videos_are_those_of_read_clip(clip, suffix, codec, write_clip, tmp_path):
    from tiny_hasher import texture

    path = write_clip(
        tmp_path / f"long{suffix}", np.concatenate([texture(n) for n in range(4)]), codec=codec
    )
    reading, images, last = read(path, Segmenting(1.2, 0.6))
    expected = read_clip(path, 5 * D, S)  # 4.8 s are four segments, and 5 is the next odd number
    np.testing.assert_array_equal(images, expected.images)
    np.testing.assert_array_equal(reading.times, expected.times)
    assert reading.duration == expected.duration
    np.testing.assert_array_equal(last.images, read_clip(path, D, S).images)


def test_a_short_video_has_the_frames_of_a_whole_one(clip):
    path = clip("a.mp4", 0)
    reading, images, _ = read(path, Segmenting(4, 2))
    np.testing.assert_array_equal(images, read_clip(path, D, S).images)
    assert reading.duration == pytest.approx(1.2)


def test_damaged_videos_have_the_whole_frames_of_the_hasher(clip):
    path = clip("a.avi", 1, 2, 3, 4)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    cut = clip("cut.avi", 1, 2, 3, 4)
    cut.write_bytes(cut.read_bytes()[: 2 * middle * 3 // 4])
    for damaged in (path, cut):
        _, _, last = read(damaged, Segmenting(1.2, 0.6))
        np.testing.assert_array_equal(last.images, read_clip(damaged, D, S).images)


def test_there_are_never_more_frames_than_the_video_has(clip):
    path = clip("a.mp4", 0, 1)  # 24 frames
    reading, _, _ = read(path, Segmenting(0.2, 0.2))
    assert len(reading.times) == 3 * D


def test_midmost_frames_are_the_midpoints():
    for count in (7, 100, 1234):
        for density in (1, 3, 9):
            dense = np.array(midpoints(count, D * density))
            assert dense[midmost_of(D, density)].tolist() == midpoints(count, D)


def test_bad_files(clip, tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (empty, tmp_path / "none.mp4"):
        with pytest.raises(InputError, match=path.name):
            list(Reading(path, D, S, Segmenting()))

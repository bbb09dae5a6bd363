"""Adding to a collection, searching it, and what it says of bad input."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from chain import Hasher
from chain.collection import Collection, Segmenting
from chain.collection.matching import PLACE
from chain.core.errors import InputError


def names(matches):
    return [os.path.basename(match.path) for match in matches]


def test_whole_codes_are_the_hashers(collection, clip, hasher):
    paths = [clip("a.mp4", 0), clip("b.mp4", 1), clip("long.mp4", 2, 3, 4, 5, 6)]
    report = collection.add(paths)
    assert (report.new, report.unchanged, report.broken) == (3, 0, [])
    found = collection.codes(whole=True)
    expected = Hasher.load(hasher).codes(paths)
    assert len(np.unique(expected, axis=0)) == 3
    id_of = collection.videos().set_index("path")["id"]
    for path, code in zip(paths, expected, strict=True):
        row = found.ids.tolist().index(id_of[str(path)])
        np.testing.assert_array_equal(found.codes[found.owner == row], code[None])


def test_long_videos_have_segments(collection, clip):
    collection.add([clip("short.mp4", 0), clip("long.mp4", 1, 2, 3)])
    videos = collection.videos()
    assert videos["duration"].round(3).tolist() == [3.6, 1.2]
    parts = collection.codes(whole=False)
    assert set(parts.ids[parts.owner]) == {videos["id"][0]}
    np.testing.assert_allclose(parts.start, [0, 1.2, 2.4], atol=1e-3)  # one for each scene
    np.testing.assert_allclose(parts.end - parts.start, 1.2, atol=1e-3)
    assert (len(collection.codes()), len(collection.codes().parts)) == (5, 4)


def test_only_new_and_changed_files_are_decoded(collection, clip, monkeypatch):
    first, second = clip("a.mp4", 0), clip("b.mp4", 1)
    collection.add([first, second])
    decoded = []
    code = type(collection.coder).__call__
    monkeypatch.setattr(
        type(collection.coder),
        "__call__",
        lambda self, path: decoded.append(path) or code(self, path),
    )
    report = collection.add([first.parent])
    assert (report.new, report.unchanged) == (0, 2)
    os.utime(first)  # touched, but the same
    assert collection.add([first]).unchanged == 1
    copied = first.with_name("copy.mp4")
    copied.write_bytes(first.read_bytes())
    assert collection.add([copied]).new == 1
    moved = second.rename(second.with_name("moved.mp4"))
    report = collection.add([first.parent])
    assert (report.moved, report.unchanged) == (1, 2)
    assert decoded == []
    clip("a.mp4", 7)
    report = collection.add([first.parent])
    assert (report.changed, report.unchanged) == (1, 2)
    assert decoded == [first]
    assert names(collection.videos().itertuples()) == ["a.mp4", "copy.mp4", "moved.mp4"]
    assert len(collection.codes()) == 3
    assert moved.exists()


def test_contents_that_change_places(collection, clip):
    first, second = clip("a.mp4", 0), clip("b.mp4", 1)
    collection.add([first, second])
    before = collection.videos()
    spare = first.rename(first.with_name("spare.mp4"))
    second.rename(first)
    spare.rename(second)
    report = collection.add([first, second])
    assert report.changed == 2
    assert collection.videos()["id"].tolist() == before["id"][::-1].tolist()
    assert len(collection.codes()) == 2


def test_the_same_content_twice_has_one_set_of_codes(collection, clip):
    first = clip("a.mp4", 0, 1, 2)
    (first.parent / "b.mp4").write_bytes(first.read_bytes())
    assert collection.add([first.parent], workers=2).new == 2
    assert len(collection.videos()) == 2
    assert len(collection.codes(whole=True)) == 1
    assert collection.remove([first]) == 1
    assert len(collection.codes(whole=True)) == 1
    collection.remove([first.parent])
    assert len(collection.codes()) == 0


def test_search_finds_the_video_and_the_place_in_it(collection, clip):
    clip("a.mp4", 0), clip("long.mp4", 1, 2, 3, 4, 5)
    collection.add([clip("c.mp4", 6).parent])
    (part,) = collection.search(clip("elsewhere/part.mp4", 3, 4), k=1)
    assert names([part]) == ["long.mp4"]
    assert (part.start, part.end) == pytest.approx((2.4, 4.8), abs=0.01)
    assert (part.query_start, part.query_end) == pytest.approx((0, 2.4), abs=0.01)
    assert part.distance < 3
    times = [getattr(part, name) for name in PLACE]  # 2.4 is no float32
    assert times == [round(time, 3) for time in times]
    whole = collection.search(clip("c.mp4", 6))
    assert names(whole)[0] == "c.mp4" and whole[0].distance == 0
    assert len(whole) == 3


def test_search_by_id_leaves_out_the_query(collection, clip):
    clip("a.mp4", 0), clip("b.mp4", 1)
    collection.add([clip("c.mp4", 2).parent])
    id = collection.videos()["id"][1]
    assert set(names(collection.search(id))) == {"a.mp4", "c.mp4"}


def test_search_can_be_limited(collection, clip):
    clip("a.mp4", 0), clip("b.mp4", 1), clip("long.mp4", 0, 1, 2, 3)
    query = clip("c.mp4", 2)
    collection.add([query.parent])
    assert names(collection.search(query, max_distance=0.5)) == ["c.mp4"]
    assert "long.mp4" not in names(collection.search(query, max_duration_ratio=2))
    assert names(collection.search(query, where="path LIKE '%/b.mp4'")) == ["b.mp4"]
    assert names(collection.search(query, where="duration > 3")) == ["long.mp4"]
    assert names(collection.search(query, k=1)) == ["c.mp4"]
    assert collection.search(query, where="duration > 30") == []


def test_an_empty_collection(collection, clip):
    with pytest.raises(InputError, match="it holds no video yet"):
        collection.search(clip("a.mp4", 0))
    assert len(collection.codes()) == 0
    assert collection.videos().empty


@pytest.mark.parametrize("scenes", [1, 4])  # without segments, and with some
def test_a_file_that_breaks_off_is_kept_and_named(collection, clip, scenes):
    whole = clip("whole.avi", *range(scenes))
    cut = whole.with_name("cut.avi")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 4 // 5])
    report = collection.add([whole, cut])
    assert (report.new, report.damaged, report.broken) == (2, [str(cut)], [])
    assert (len(collection.codes().codes) > 2) == (scenes > 1)
    assert collection.add([whole, cut]).damaged == []


def test_broken_files_are_listed_and_not_tried_again(collection, clip):
    good = clip("good.mp4", 0)
    broken = good.with_name("broken.mp4")
    broken.write_bytes(good.read_bytes()[:100])
    empty = good.with_name("empty.mp4")
    empty.touch()
    report = collection.add([good.parent])
    assert report.new == 1
    assert [path for path, _ in report.broken] == [str(broken), str(empty)]
    assert all(reason and "\n" not in reason for _, reason in report.broken)
    again = collection.add([good.parent])
    assert (again.new, again.unchanged, again.broken) == (0, 1, report.broken)
    assert collection.broken()["path"].tolist() == [str(broken), str(empty)]
    broken.write_bytes(clip("other/mended.mp4", 5).read_bytes())
    assert collection.add([broken]).new == 1
    assert collection.broken()["path"].tolist() == [str(empty)]
    good.write_bytes(b"nothing")
    assert collection.add([good]).broken[0][0] == str(good)
    assert str(good) not in collection.videos()["path"].tolist()
    assert len(collection.codes()) == 1


def test_sync_forgets_what_is_gone(collection, clip):
    first, second = clip("a.mp4", 0), clip("b.mp4", 1)
    collection.add([first.parent])
    first.unlink()
    second.rename(second.with_name("c.mp4"))
    report = collection.sync(first.parent)
    assert (report.moved, report.removed) == (1, 1)
    assert names(collection.videos().itertuples()) == ["c.mp4"]
    assert len(collection.codes()) == 1


def test_strips_and_frames(collection, clip):
    collection.add([clip("a.mp4", 0), clip("long.mp4", 1, 2, 3)])
    videos = collection.videos()
    for id in videos["id"]:
        picture = Image.open(io.BytesIO(collection.strip(id)))
        assert picture.size == (720, 90) and picture.format == "JPEG"
    frames = collection.frames(videos["id"])
    lengths = {id: len(times) for id, (times, _) in frames.items()}
    assert lengths == dict(zip(videos["id"], [6, 18], strict=True))
    assert all(len(found) == len(times) for times, found in frames.values())
    with pytest.raises(InputError, match="nothing: no such video"):
        collection.strip("nothing")  # noqa: B005


def test_judgements(collection, clip):
    collection.add([clip("a.mp4", 0), clip("b.mp4", 1)])
    a, b = sorted(collection.videos()["id"])
    collection.judge(b, a, "copy")
    collection.judge(a, b, "not a copy")
    assert collection.judgements().values.tolist() == [[a, b, "not a copy"]]
    for pair, verdict in (((a, a), "copy"), ((a, "none"), "copy"), ((a, b), "perhaps")):
        with pytest.raises(InputError):
            collection.judge(*pair, verdict)


def test_it_is_opened_again(collection, clip, tmp_path):
    collection.add([clip("a.mp4", 0, 1)])
    opened = Collection.open(tmp_path / "collection")
    assert opened.hasher_id == collection.hasher_id
    assert opened.segmenting == Segmenting(1.2, 0.6)
    assert opened.videos().equals(collection.videos())
    np.testing.assert_array_equal(opened.codes().codes, collection.codes().codes)
    assert opened.status() == collection.status()


def fails(message, action):
    with pytest.raises(InputError) as raised:
        action()
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_bad_input(collection, clip, tmp_path, hasher):
    collection.add([clip("a.mp4", 0)])
    fails("none.mp4: no such file or folder", lambda: collection.add([tmp_path / "none.mp4"]))
    fails("none.mp4: no such file", lambda: collection.search(tmp_path / "none.mp4"))
    fails("above 0, not 0", lambda: collection.search(tmp_path / "clips/a.mp4", k=0))
    fails("no such collection", lambda: Collection.open(tmp_path / "none"))
    fails("no collection", lambda: Collection.create(tmp_path / "clips", hasher))
    fails("already", lambda: Collection.create(tmp_path / "collection", hasher))
    fails("nonsense", lambda: collection.videos("nonsense = 3"))
    with pytest.raises(InputError, match="stride"):
        Segmenting(1, 2)

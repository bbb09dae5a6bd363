"""Groups of copies in a collection, and what was judged."""

import itertools
import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from moving_scenes import every, shoot
from typer.testing import CliRunner

from chain.cli import app
from chain.collection.alignment import WHOLE, Agreement, Alignment, Film, Line
from chain.collection.copies import LEAST, Compared, compare, copies, duplicates, turns
from chain.collection.descriptors import describe
from chain.collection.segments import Segments
from chain.core.errors import InputError

STEP = 0.25


@dataclass
class Few:
    """What `duplicates` needs of a collection, filled with drawn scenes by name."""

    pictures: dict[str, np.ndarray]
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)
    twice: tuple[str, ...] = ()

    def videos(self):
        rows = [(f"/{id}.mp4", id, 1, STEP * len(one)) for id, one in self.pictures.items()]
        rows += [(f"/again/{id}.mp4", id, 1, STEP * len(self.pictures[id])) for id in self.twice]
        return pd.DataFrame(rows, columns=["path", "id", "size", "duration"]).sort_values("path")

    def judgements(self):
        return pd.DataFrame(self.verdicts, columns=["id_a", "id_b", "verdict"])

    def frames(self, ids):
        return {
            id: (every(STEP, 0, STEP * len(self.pictures[id])), describe(self.pictures[id]))
            for id in ids
        }

    def codes(self):
        ids = np.array(list(self.pictures))
        owner = np.arange(len(ids), dtype=np.int32)
        codes = np.random.default_rng(0).integers(0, 256, (len(ids), 8), dtype=np.uint8)
        zero = np.zeros(len(ids), np.float32)
        return Segments(ids, owner, zero, zero + 1, np.ones(len(ids), bool), codes)


def scene(number, start=0.0, end=4.0, action=None):
    return shoot(number, number if action is None else action, every(STEP, start, end))


@pytest.fixture(scope="module")
def pictures():
    """Ten scenes; of 0 a darker copy, a part, a mirrored one and another action; a compilation."""
    videos = {f"{number}": scene(number) for number in range(10)}
    videos["0 dark"] = (videos["0"] * 0.7).astype(np.uint8)
    videos["0 part"] = scene(0, 1.0, 2.5)
    videos["0 mirrored"] = videos["0"][:, :, ::-1]
    videos["0 similar"] = scene(0, action=99)
    videos["1 then 2"] = np.concatenate([videos["1"], videos["2"]])
    return videos


def ids_of(groups):
    return [group.ids for group in groups]


def test_copies_are_grouped_and_similar_clips_are_not(pictures):
    groups = duplicates(Few(pictures))
    assert ids_of(groups) == [["0", "0 dark", "0 part"], ["1", "1 then 2"], ["1 then 2", "2"]]
    assert groups[0].paths == ["/0 dark.mp4", "/0 part.mp4", "/0.mp4"]
    by_ids = {frozenset((pair.a, pair.b)): pair for group in groups for pair in group.pairs}
    part = by_ids[frozenset(("0", "0 part"))]
    assert (part.a, part.b, part.held, part.turn) == ("0 part", "0", True, "")
    assert (part.start_b, part.end_b) == pytest.approx((1.0, 2.5), abs=0.2)
    second = by_ids[frozenset(("2", "1 then 2"))]
    assert (second.start_a, second.end_a) == pytest.approx((0, 4), abs=0.2)
    assert (second.start_b, second.end_b) == pytest.approx((4, 8), abs=0.2)
    assert not by_ids[frozenset(("0", "0 dark"))].held
    assert all(pair.similarity > LEAST and pair.chance <= 0.1 for pair in by_ids.values())


def test_mirrored_copies_on_request(pictures):
    groups = duplicates(Few(pictures), mirrored=True)
    assert "0 mirrored" in ids_of(groups)[0]
    turned = [pair.turn for pair in groups[0].pairs if "0 mirrored" in (pair.a, pair.b)]
    assert turned and set(turned) == {"mirrored"}


def test_judgements_are_respected(pictures):
    apart = [("0", "0 dark", "not a copy"), ("1", "1 then 2", "not a copy")]
    joined = [("3", "4", "copy"), ("gone", "5", "copy")]
    found = ids_of(duplicates(Few(pictures, apart + joined)))
    assert ["3", "4"] in found and ["1 then 2", "2"] in found and ["1", "1 then 2"] not in found
    assert not any({"0", "0 dark"} <= set(ids) for ids in found)
    assert any("0 part" in ids for ids in found)


def test_files_of_the_same_content(pictures):
    few = Few({name: pictures[name] for name in ("3", "4", "5")}, twice=("4",))
    groups = duplicates(few)
    assert [(group.ids, group.paths) for group in groups] == [(["4"], ["/4.mp4", "/again/4.mp4"])]


def test_it_needs_two_videos_and_a_rate():
    assert duplicates(Few({"a": scene(0)})) == []
    assert duplicates(Few({"a": np.zeros((16, 96, 96, 3), np.uint8)} | {"b": scene(1)})) == []
    with pytest.raises(InputError, match="false alarms"):
        duplicates(Few({"a": scene(0)}), 0)


def test_turns():
    assert turns(False, False) == [""]
    assert turns(True, False) == ["", "mirrored"]
    assert turns(False, True) == ["", "left", "right", "half"]
    assert len(turns(True, True)) == 8


def test_every_candidate_is_compared_and_its_best_turn_is_kept():
    descriptors = describe(scene(0))
    film = Film.of(every(STEP, 0, 4), descriptors)
    other = film.turned("mirrored")
    (found,) = compare([film, other], {(0, 1, ""), (0, 1, "mirrored"), (0, 1, "half")})
    assert found.turn == "mirrored" and found.alignment.agreement.similarity > 0.999


def compared(moving, frames=16.0):
    agreement = Agreement(frames, 0.9, moving, 0.3)
    return Compared(0, 1, "", Alignment(agreement, Line(0, 1), WHOLE, WHOLE))


def test_collections_with_many_similar_clips_ask_for_more():
    pair = compared(0.93)
    random = np.random.default_rng(0)
    unlike = [compared(value) for value in random.uniform(-0.1, 0.3, 300)]
    alike = [compared(value) for value in random.uniform(0.2, 0.87, 300)]
    assert [one for one, _ in copies([pair, *unlike], 0.1)] == [pair]
    assert copies([pair, *alike], 0.1) == []
    assert len(copies([pair, *alike], 10.0)) == 1
    assert copies([compared(0.87)], 100.0) == []


def test_few_frames_are_less_evidence_and_the_surest_come_first():
    pairs = [compared(0.95, 4.0), compared(0.95), compared(0.99)]
    found = copies(pairs, 1.0)
    assert [one for one, _ in found] == [pairs[2], pairs[1], pairs[0]]
    chances = [chance for _, chance in found]
    assert all(one < other for one, other in itertools.pairwise(chances))


def test_the_commands(clip, hasher, tmp_path, monkeypatch):
    """`duplicates` and `judge`, on files."""
    monkeypatch.setenv("CHAIN_COLLECTION", str(tmp_path / "collection"))

    def chain(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert code is None or result.exit_code == code, result.output
        return result

    one, other = clip("a.mp4", 0), clip("b.mp4", 1)
    copy = one.with_name("copy.mp4")
    copy.write_bytes(one.read_bytes())
    chain("add", one, other, copy, "--hasher", hasher)
    assert chain("duplicates").stdout == (
        f"group 1: 2 files\n  {one}\n  {copy}\n    the same file, byte by byte\n"
    )
    (group,) = json.loads(chain("duplicates", "--json").stdout)
    assert group["paths"] == [str(one), str(copy)] and group["pairs"] == []
    lines = chain("duplicates", "--csv").stdout.splitlines()
    assert lines[0] == "group,id,path" and lines[1].startswith("1,") and len(lines) == 3
    chain("judge", one, other, "copy")
    (group,) = json.loads(chain("duplicates", "--json").stdout)
    assert len(group["ids"]) == 2 and len(group["paths"]) == 3
    assert (
        chain("judge", *group["ids"], "copy").stdout == "remembered: copy\n"
    )  # by id, the same again
    chain("judge", one, other, "not-a-copy")
    assert len(json.loads(chain("duplicates", "--json").stdout)[0]["paths"]) == 2
    for wrong, said in (
        (["judge", one, "nothing.mp4", "copy"], "nothing.mp4: no such video"),
        (["judge", one, one, "copy"], f"{one} and {one}: the same video, and a pair needs two"),
        (["duplicates", "--false-alarms", 0], "expected a number above 0"),
    ):
        message = str(chain(*wrong, code=None).exception)
        assert message.startswith("error: ") and said in message and "\n" not in message

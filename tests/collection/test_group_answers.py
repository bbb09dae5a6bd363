"""How groups of copies are told."""

import json
from itertools import combinations

import pandas as pd

from chain.collection.copies import Group, Pair
from chain.collection.group_answers import as_json, as_text, central


def pair(a, b, similarity=0.95, chance=0.01, turn=""):
    return Pair(a, b, 0.0, 4.0, 1.0, 5.0, turn, similarity, chance, False)


def table(ids):
    rows = [(f"/{id}.mp4", id) for id in ids]
    return pd.DataFrame(rows, columns=["path", "id"])


def group_of(ids, pairs):
    return Group(list(ids), [f"/{id}.mp4" for id in ids], pairs)


def test_a_group_is_told_by_its_files_the_central_one_first():
    pairs = [pair("a", "b"), pair("c", "b", 0.9, 0.05, "mirrored")]
    videos = pd.concat([table("abcd"), pd.DataFrame({"path": ["/z.mp4"], "id": ["b"]})])
    group = Group(["a", "b", "c", "d"], sorted(videos["path"]), pairs)  # d was judged a copy
    assert central(group) == "b"
    assert as_text([group], videos).splitlines() == [
        "group 1: 5 files, 2 pairs, similarity 0.900 or more, chance 0.05 or less",
        "  /b.mp4",
        "  /z.mp4",
        "    the same file, byte by byte",
        "  /a.mp4",
        "    0:00.0-0:04.0 is 0:01.0-0:05.0 of the first, similarity 0.950, chance 0.01",
        "  /c.mp4",
        "    0:00.0-0:04.0 is 0:01.0-0:05.0 of the first, similarity 0.900, chance 0.05, "
        "turned: mirrored",
        "  /d.mp4",
    ]


def test_the_part_of_the_first_one_is_named_whichever_of_a_pair_it_is():
    text = as_text([group_of("ab", [pair("a", "b")])], table("ab"))
    assert text.splitlines()[-1].startswith("    0:01.0-0:05.0 is 0:00.0-0:04.0 of the first")


def test_a_large_group_takes_few_lines_and_all_pairs_on_request():
    ids = [f"{number:02}" for number in range(30)]
    group = group_of(ids, [pair(a, b) for a, b in combinations(ids, 2)])
    text = as_text([group], table(ids))
    assert len(text.splitlines()) == 1 + 2 * 30 - 1
    every = as_text([group], table(ids), pairs=True).splitlines()
    assert len(every) == len(text.splitlines()) + 2 * 435
    assert every[-2:] == [
        "  pair: /28.mp4",
        "    0:00.0-0:04.0 is 0:01.0-0:05.0 of /29.mp4, similarity 0.950, chance 0.01",
    ]
    (told,) = json.loads(as_json([group], table(ids)))
    assert (told["central"], len(told["pairs"])) == ("00", 435)


def test_nothing_is_told_to_be_nothing():
    assert as_text([], table("a")) == "no copies"
    same = Group(["a"], ["/a.mp4", "/b.mp4"], [])
    videos = pd.DataFrame({"path": ["/a.mp4", "/b.mp4"], "id": ["a", "a"]})
    assert as_text([same], videos).splitlines() == [
        "group 1: 2 files",
        "  /a.mp4",
        "  /b.mp4",
        "    the same file, byte by byte",
    ]

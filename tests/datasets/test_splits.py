import hashlib
import logging

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.datasets.manifest import COLUMNS, Roles
from chain.datasets.splits import FLAT, draw, equal_pairs, groups, settled

ROLES = Roles()


def manifest_of(*clips: tuple[str, str]) -> pd.DataFrame:
    """Labels and split of each clip, whose id is its number."""
    rows = [(f"{n}", f"{n}.avi", 1, "0" * 64, *clip) for n, clip in enumerate(clips)]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_groups_by_hand() -> None:
    pairs = np.array([[4, 1], [1, 5], [2, 3]])
    assert groups(6, pairs).tolist() == [0, 1, 2, 2, 1, 1]
    assert groups(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]


def test_equal_texts_are_linked_and_empty_ones_are_not() -> None:
    pairs = equal_pairs(["b", "", "a", "b", "", "b"])
    assert groups(6, pairs).tolist() == [0, 1, 2, 0, 4, 0]


def test_a_name_s_hash_against_the_shares() -> None:
    names = [str(number) for number in range(200)]
    expected = []
    for name in names:
        place = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 16**16
        expected.append("x" if place < 0.2 else "y" if place < 0.7 else "z")
    assert draw(names, {"x": 0.2, "y": 0.5, "z": 0.3}) == expected
    assert draw(names[5:], {"x": 0.2, "y": 0.5, "z": 0.3}) == expected[5:]
    assert draw(names[:2], {"all": 1.0}) == ["all", "all"]


SOUND = [("golf", "train"), ("golf", "database"), ("wave", "database"), ("golf", "query")]


def test_queries_without_answer_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    manifest = manifest_of(
        *SOUND, ("kick", "query"), ("kick", "train"), ("", "query"), ("", "train"), ("", "database")
    )
    manifest.attrs["notes"] = ["what came before"]
    with caplog.at_level(logging.WARNING):
        done = settled(manifest, ROLES)
    assert done["split"].tolist() == [
        *("train", "database", "database", "query", "", "train", "", "train", "database")
    ]
    assert manifest["split"][4] == "query"  # the argument is left as it was
    assert done.attrs["notes"] == [
        "what came before",
        "1 clips without a category were drawn as queries and left out.",
        "1 queries are left out, because no clip of the database has their category: kick.",
        "2 of 3 categories have no query: kick, wave.",
    ]
    assert [record.getMessage() for record in caplog.records] == done.attrs["notes"][1:]


def test_nothing_is_said_where_all_is_well() -> None:
    done = settled(manifest_of(*SOUND, ("wave", "query")), ROLES)
    assert done.attrs["notes"] == [] and done["split"].tolist()[-1] == "query"


def test_a_split_that_plays_all_roles_keeps_its_clips() -> None:
    manifest = manifest_of(("golf", "all"), ("wave", "all"))
    roles = Roles(train="all", database="all", query="all")
    assert settled(manifest, roles)["split"].tolist() == ["all", "all"]


def test_a_flat_folder() -> None:
    manifest = manifest_of(("", "train"), ("", "database"), ("", "query"))
    done = settled(manifest, ROLES)
    assert done["split"].tolist() == ["train", "database", "query"]
    assert done.attrs["notes"] == [FLAT]


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (SOUND[1:], "no clip is in split 'train'"),
        (SOUND[:3], "no clip is in split 'query'"),
        ([*SOUND[:3], ("kick", "query")], "no clip is in split 'query'"),
        ([SOUND[0], SOUND[1], SOUND[3]], "needs at least two categories, it has golf"),
        ([("", "train"), ("", "query")], "no clip is in split 'database'"),
    ],
)
def test_too_few_clips(clips: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        settled(manifest_of(*clips), ROLES)
    assert str(caught.value).endswith(
        "; the splits were drawn by source.shares, so add clips, "
        "change the shares, or name the splits in a source.split_file"
    )

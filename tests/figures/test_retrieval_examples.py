import numpy as np
import pandas as pd
import pytest

from chain.figures.retrieval_examples import choose_queries, embed_categories, gallery_rows
from chain.retrieval.codes import Codes

LABELS = ["run", "fall", "run;jump", "fall", "run", "jump", "fall", "run"]
INDEX = pd.DataFrame({"id": [f"c{n}" for n in range(8)], "labels": LABELS})
CODES = np.array([0b0, 0b1, 0b11, 0b111, 0b1111, 0b11111, 0b111111, 0b0], dtype=np.uint8)[:, None]


def codes():
    return Codes(INDEX["id"].to_numpy(), CODES)


def frames(count):
    """Each pixel tells the clip (tens) and the frame (units)."""
    values = 10 * np.arange(8)[:, None] + np.arange(count)
    return np.broadcast_to(values[..., None, None, None], (8, count, 2, 2, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("count", "shown"), [(1, [0, 0, 0]), (3, [0, 1, 2]), (8, [1, 4, 6]), (9, [1, 4, 7])]
)
def test_a_clip_is_shown_by_its_beginning_middle_and_end(count, shown):
    database = np.arange(1, 8)
    (row,) = gallery_rows(INDEX, frames(count), {"chain": codes()}, [0], database)
    assert row.frames[:, 0, 0, 0].tolist() == shown
    assert row.results["chain"][0].frames[:, 0, 0, 0].tolist() == [70 + frame for frame in shown]


def test_the_nearest_five_without_the_query_itself():
    (row,) = gallery_rows(INDEX, frames(1), {"chain": codes()}, [2], np.arange(8))
    found = row.results["chain"]
    slow = sorted(
        (bin(int(CODES[2, 0] ^ CODES[clip, 0])).count("1"), clip) for clip in range(8) if clip != 2
    )[:5]
    assert [one.distance for one in found] == [distance for distance, _ in slow]
    by_distance = {one.frames[0, 0, 0, 0] // 10: one.distance for one in found}
    assert by_distance == {clip: distance for distance, clip in slow}
    shared = {0: True, 1: False, 3: False, 4: True, 7: True}
    assert {one.frames[0, 0, 0, 0] // 10: one.relevant for one in found} == shared
    assert row.category == "run;jump"


def test_a_database_of_fewer_than_five_is_shown_whole():
    (row,) = gallery_rows(INDEX, frames(1), {"chain": codes()}, [2], np.array([0, 2, 3]))
    assert [one.frames[0, 0, 0, 0] // 10 for one in row.results["chain"]] == [3, 0]


def test_queries_are_of_different_categories_and_follow_the_seed():
    draws = [choose_queries(INDEX, np.arange(8), 3, seed) for seed in range(20)]
    assert all(len({LABELS[clip] for clip in chosen}) == 3 for chosen in draws)
    assert len({tuple(chosen) for chosen in draws}) > 1
    assert draws[0] == choose_queries(INDEX, np.arange(8), 3, 0)
    assert len(choose_queries(INDEX, np.array([0, 4, 7]), 3, 0)) == 1  # one category only


def test_only_the_first_categories_are_embedded():
    points, names = embed_categories(INDEX, {"chain": codes()}, np.arange(8), 2, 0)["chain"]
    assert names == ["fall", "fall", "jump", "fall"]
    assert points.shape == (4, 2)

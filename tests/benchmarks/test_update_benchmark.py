"""The benchmark of updates, on a data set of random features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_methods import small

from benchmarks.update import COLUMNS, late_clips, one_seed, table
from chain.datasets.manifest import Roles
from chain.methods import method_config
from chain.pipeline.recipes import UNCHANGED, write_recipe
from chain.views.store import FeatureStore

CATEGORIES = ["a", "b", "c", "d", "e", "f"]


def index_of(labels: list[str], splits: list[str]) -> pd.DataFrame:
    ids = [f"clip {number}" for number in range(len(labels))]
    return pd.DataFrame({"id": ids, "labels": labels, "split": splits})


@pytest.mark.parametrize(("part", "late"), [(0, "ad"), (1, "be"), (2, "cf"), (3, "ad")])
def test_a_third_of_the_categories_is_late(part, late):
    index = index_of([*CATEGORIES, "", "b;d"], ["train"] * 8)
    expected = [name in late for name in CATEGORIES]
    expected += [False, bool({"b", "d"} & set(late))]
    assert late_clips(index, part).tolist() == expected


def test_three_ways_from_one_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = method_config("conmh", small("conmh", epochs=4))
    write_recipe(Path("artifacts/recipes/tiny/conmh.json"), "conmh", {UNCHANGED: config}, {}, {})
    random = np.random.default_rng(0)
    labels = CATEGORIES * 30
    splits = [split for split in ("train", "database", "query") for _ in range(60)]
    centres = 3 * random.normal(size=(6, 1, 8))
    clean = centres[np.arange(180) % 6] + random.normal(size=(180, 6, 8))
    store = FeatureStore(index_of(labels, splits), clean.astype(np.float16), np.arange(60), {})
    rows = one_seed("tiny", "conmh", store, Roles(), 0)
    assert list(rows) == ["old", "anew", "updated"]
    for way, found in rows.items():
        assert set(COLUMNS) - set(found) == ({"to stored"} if way == "anew" else set())
        assert all(0 < found[column] <= 1 for column in found if column != "seconds")
        share = (2 * found["early"] + found["late"]) / 3  # as many queries of each category
        assert found["all"] == pytest.approx(share)
    assert rows["updated"]["seconds"] < rows["anew"]["seconds"]


def test_the_table_and_its_ratios() -> None:
    old = {"all": 0.4, "early": 0.5, "late": 0.2, "to stored": 0.5, "seconds": 10.0}
    anew = {"all": 0.5, "early": 0.5, "late": 0.5, "seconds": 20.0}
    updated = {"all": 0.48, "early": 0.5, "late": 0.4, "to stored": 0.49, "seconds": 3.0}
    made = table([{"old": old, "anew": anew, "updated": updated}] * 2, "three ways")
    assert made.header == ("way", *COLUMNS) and made.right == (False, *[True] * len(COLUMNS))
    printed = [[cell.text for cell in row] for row in made.rows]
    assert printed[0] == ["old", *(f"{old[name]:.3f} ± 0.000" for name in COLUMNS[:-1]), "10 ± 0"]
    assert printed[1][-3:] == ["0.500 ± 0.000", "", "20 ± 0"]
    assert made.note == (
        "All queries, updated / anew: 0.96 (aim .95). Late ones, updated / old: 2.00 (aim 1.1). "
        "Processor seconds, updated / anew: 0.15 (aim .2). Early queries against stored codes, "
        "updated − old: -0.010 (aim 0)."
    )

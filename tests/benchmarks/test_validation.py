import numpy as np
import pandas as pd
import pytest

from benchmarks.validation import HELD_OUT, changed, hold_out, read_sources
from chain.core.errors import InputError
from chain.datasets.manifest import Roles
from chain.pipeline.recipes import UNCHANGED
from chain.views.store import FeatureStore


def store(trained="database"):
    splits = ["train"] * 30 + ["database"] * 90 + ["query"] * 20
    index = pd.DataFrame({"id": [f"c{n}" for n in range(140)], "labels": "a", "split": splits})
    rows = np.flatnonzero(index["split"] == trained)
    clean = np.zeros((140, 2, 3), np.float16)
    banks = {"consistent": np.arange(len(rows), dtype=np.float16).reshape(-1, 1, 1, 1)}
    return FeatureStore(index, clean, rows, banks)


def test_where_the_database_is_not_trained_on_a_third_of_it_are_queries():
    before = store("train")
    after, roles = hold_out(before, Roles(), {})
    assert roles.query == HELD_OUT and roles.database == "database"
    counts = after.index["split"].value_counts()
    assert 20 <= counts[HELD_OUT] <= 40 and counts[HELD_OUT] + counts["database"] == 90
    assert counts["query"] == 20 and before.index["split"].value_counts()["database"] == 90
    np.testing.assert_array_equal(after.train, before.train)


def test_what_is_held_out_is_not_trained_on():
    after, _ = hold_out(store(), Roles(train="database"), {})
    held = np.flatnonzero(after.index["split"] == HELD_OUT)
    assert 10 <= len(held) <= 35
    np.testing.assert_array_equal(np.union1d(after.train, held), np.arange(30, 120))
    assert not np.isin(after.train, held).any()
    np.testing.assert_array_equal(after.banks["consistent"].ravel(), after.train - 30)


def test_a_source_stays_on_one_side():
    sources = {f"c{n}": f"film {n // 5}" for n in range(140)}
    after, _ = hold_out(store(), Roles(train="database"), sources)
    held = after.index["split"].eq(HELD_OUT).to_numpy()[30:120].reshape(-1, 5)
    assert (held.all(axis=1) | ~held.any(axis=1)).all() and held.any() and not held.all()


def test_sources_are_read_by_id(tmp_path):
    (tmp_path / "splits.csv").write_text("path,split,source\na/1.mov,query,x\na/2.mov,query,y\n")
    assert read_sources(tmp_path / "splits.csv") == {"a/1": "x", "a/2": "y"}


def parameters(dataset, changes=(), clips=400):
    return changed(dataset, "chain", changes).configs(clips)[UNCHANGED]


def test_a_change_overrides_the_profile():
    config = parameters("demo", ["weights.order=0.25", "encoder.kind=lstm"])
    assert config.weights.order == 0.25 and config.encoder.kind == "lstm"
    assert config.encoder.width == parameters("demo").encoder.width
    with pytest.raises(InputError, match=r"--change.*wieghts"):
        changed("demo", "chain", ["wieghts.order=0.25"])


def test_sizes_follow_the_training_clips_unless_they_are_changed():
    assert parameters("clips", clips=267).training.batch == 32
    assert parameters("clips", clips=400).training.batch == 64
    assert parameters("clips", ["training.batch=48"]).training.batch == 48

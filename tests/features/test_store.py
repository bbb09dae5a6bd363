from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from chain.errors import InputError
from chain.features.store import FeatureStore, gather


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five clips of three frames; 1, 2 and 4 are for training and have a bank of two views."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "clean.npy", random.normal(size=(5, 3, 4)).astype(np.float16))
    np.save(tmp_path / "bank_consistent.npy", random.normal(size=(3, 2, 3, 4)).astype(np.float16))
    np.save(tmp_path / "train.npy", np.array([1, 2, 4]))
    index = pd.DataFrame({"id": ["001", "NA", "c", "d", "e"], "labels": "", "split": "train"})
    index.to_csv(tmp_path / "index.csv", index=False)
    return tmp_path


def test_open_maps_what_was_written(folder: Path) -> None:
    store = FeatureStore.open(folder)
    assert (store.width, store.dense) == (4, 3)
    assert store.index["id"].tolist() == ["001", "NA", "c", "d", "e"]  # text stays text
    assert store.index["labels"].tolist() == [""] * 5
    assert store.train.tolist() == [1, 2, 4]
    assert list(store.banks) == ["consistent"]
    assert isinstance(store.clean, np.memmap) and not store.clean.flags.writeable
    assert isinstance(store.banks["consistent"], np.memmap)


def test_bank_rows_follow_the_training_clips(folder: Path) -> None:
    store = FeatureStore.open(folder)
    bank, rows = store.bank("consistent")
    assert bank is store.banks["consistent"] and rows.tolist() == [0, 1, 2]

    bank, rows = store.bank("none")
    assert bank.shape == (5, 1, 3, 4)
    assert np.shares_memory(bank, store.clean)  # no copy of the features at every step
    assert (bank[rows][:, 0] == store.clean[[1, 2, 4]]).all()


def test_missing_bank(folder: Path) -> None:
    store = FeatureStore.open(folder)
    with pytest.raises(InputError, match=r"no 'per_frame' bank \(they hold: consistent\)"):
        store.bank("per_frame")


def test_gather_against_a_loop() -> None:
    random = np.random.default_rng(1)
    bank = random.normal(size=(6, 3, 7, 2)).astype(np.float16)
    rows, views = random.integers(0, 6, 10), random.integers(0, 3, 10)
    frames = random.integers(0, 7, (10, 4))
    got = gather(bank, rows, views, frames)
    assert got.shape == (10, 4, 2) and got.dtype == torch.float32
    for b in range(10):
        for t in range(4):
            expected = bank[rows[b], views[b], frames[b, t]].astype(np.float32)
            assert (got[b, t].numpy() == expected).all()

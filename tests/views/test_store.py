from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from chain.core.errors import InputError
from chain.views.store import FeatureMap, FeatureStore, gather


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
    for array in (store.clean, store.banks["consistent"]):
        assert isinstance(array, FeatureMap) and not array.flags.writeable


def test_bank_rows_follow_the_training_clips(folder: Path) -> None:
    store = FeatureStore.open(folder)
    bank, rows = store.bank("consistent")
    assert bank is store.banks["consistent"] and rows.tolist() == [0, 1, 2]

    bank, rows = store.bank("none")
    assert bank.shape == (5, 1, 3, 4)
    assert np.shares_memory(bank, store.clean)  # no copy of the features at every step
    assert (bank[rows][:, 0] == store.clean[[1, 2, 4]]).all()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("clean.npy", np.zeros((4, 3, 4), np.float16)),
        ("clean.npy", np.zeros((5, 3, 4), np.float32)),
        ("clean.npy", np.zeros((5, 12), np.float16)),
        ("clean.npy", np.zeros((5, 0, 4), np.float16)),
        ("train.npy", np.array([1, 2, 5])),
        ("train.npy", np.array([1, 2, -1])),
        ("bank_consistent.npy", np.zeros((2, 2, 3, 4), np.float16)),
        ("bank_consistent.npy", np.zeros((3, 2, 2, 4), np.float16)),
    ],
)
def test_files_that_do_not_fit_together(folder: Path, name: str, array: np.ndarray) -> None:
    np.save(folder / name, array)
    with pytest.raises(InputError, match=f"{name}: "):
        FeatureStore.open(folder)


def test_missing_bank(folder: Path) -> None:
    store = FeatureStore.open(folder)
    with pytest.raises(InputError, match=r"no 'per_frame' bank \(they hold: consistent\)"):
        store.bank("per_frame")


def test_clean_frames_are_those_that_are_encoded(folder: Path) -> None:
    store, clean = FeatureStore.open(folder), np.load(folder / "clean.npy").astype(np.float32)
    assert store.encoded_frames(2).tolist() == [0, 2]  # of three frames
    got = store.clean_frames(np.array([4, 0, 4]), 2)
    assert got.shape == (3, 2, 4) and got.dtype == torch.float32
    for row, clip in enumerate((4, 0, 4)):
        assert (got[row].numpy() == clean[clip, [0, 2]]).all()


@pytest.mark.parametrize("chunk", [1, 2, 3, 256])
def test_training_chunks_are_all_training_clips_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("chain.views.store.CHUNK", chunk)
    store = FeatureStore.open(folder)
    parts = list(store.training_chunks(2))
    assert all(len(part) <= chunk for part in parts)
    assert torch.equal(torch.cat(parts), store.clean_frames(np.array([1, 2, 4]), 2))


def test_too_few_stored_frames(folder: Path) -> None:
    store = FeatureStore.open(folder)
    for ask in (store.encoded_frames, lambda count: store.clean_frames(store.train, count)):
        with pytest.raises(InputError, match=r"frames is 4, but decode.frames keeps only 3 a clip"):
            ask(4)


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


def mapped_bytes() -> int:
    """Resident bytes of this process that belong to files."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("RssFile:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("way", ["gather", "slices", "clips"])
def test_reading_everything_does_not_keep_it_in_memory(folder: Path, way: str) -> None:
    clean = np.random.default_rng(0).normal(size=(64, 16, 8192)).astype(np.float16)  # 16 MiB
    np.save(folder / "clean.npy", clean)
    for bank in folder.glob("bank_*.npy"):
        bank.unlink()
    rows = [f"{row},a,train" for row in range(64)]
    (folder / "index.csv").write_text("\n".join(["id,labels,split", *rows]))
    parts, frames = np.arange(64).reshape(8, 8), np.arange(16)

    def grown(features: np.ndarray) -> int:
        """How much more is mapped once every value has been read, as methods and encoding do."""
        before = mapped_bytes()
        for rows in parts:
            if way == "gather":
                got = gather(features[:, None], rows, np.zeros(8, int), np.tile(frames, (8, 1)))
            elif way == "slices":
                got = torch.from_numpy(features[rows[0] : rows[-1] + 1][:, frames])
            else:
                got = torch.stack([torch.from_numpy(features[row][frames]) for row in rows])
            assert (got.numpy() == clean[rows]).all()
        return mapped_bytes() - before

    assert grown(FeatureStore.open(folder).clean) < clean.nbytes / 2
    assert grown(np.load(folder / "clean.npy", mmap_mode="r")) > clean.nbytes / 2  # it does count


def test_copies_are_plain_arrays_and_views_are_not(folder: Path) -> None:
    clean, expected = FeatureStore.open(folder).clean, np.load(folder / "clean.npy")
    rows = np.array([3, 0, 3])
    assert type(clean[rows]) is np.ndarray and (clean[rows] == expected[rows]).all()
    assert type(clean[2:4][:, rows[1:2]]) is np.ndarray
    assert clean[4, 2, 3] == expected[4, 2, 3] and np.isscalar(clean[4, 2, 3])
    assert isinstance(clean[1:3], FeatureMap) and np.shares_memory(clean[1:3], clean)
    assert (clean[::-1][rows] == expected[::-1][rows]).all()
    assert ((clean * 2)[rows] == 2 * expected[rows]).all()  # computed, so nothing is mapped

"""The transfer stage on two small data sets of random features."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from chain.core import params
from chain.core.files import write_json
from chain.methods import method_class, method_config
from chain.methods.saved_models import load_method, save_description
from chain.training.encode import encode_store
from chain.training.loop import build
from chain.views.store import FeatureStore
from stages import transfer

ROOT = Path(__file__).parents[2]
WIDTH, DENSE, BITS = 6, 8, 16
CONFIG = method_config("lsh", {"frames": DENSE})
SPLITS = ["train", "database", "query"] * 8


def write_features(folder: Path, seed: int, data: dict[str, Any]) -> FeatureStore:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    labels = random.permutation(["a", "b", "c"] * 8)
    ids = [f"{number:03d}" for number in range(24)]
    pd.DataFrame({"id": ids, "labels": labels, "split": SPLITS}).to_csv(
        folder / "index.csv", index=False
    )
    np.save(folder / "clean.npy", random.normal(size=(24, DENSE, WIDTH)).astype(np.float16))
    np.save(folder / "train.npy", np.arange(0, 24, 3))
    write_json(folder / "made_with.json", {"backbone": data["backbone"], "roles": data["roles"]})
    return FeatureStore.open(folder)


def write_project(folder: Path, weights: str) -> None:
    """Data sets `one` and `two`, whose LSH models are there; `weights` are those of both CNNs."""
    tree = params.load(ROOT / "params.yaml")
    data = params.load(ROOT / "params/demo.yaml")
    rgb = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}  # a file does not tell
    data = params.merge(data, {"backbone": {"weights": weights} | rgb})
    tree |= {"datasets": ["one", "two"], "repeats": 2, "evaluation": {"topk": [1, 5]}}
    tree |= {"grid": {"methods": ["lsh"]}}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    for seed, name in enumerate(tree["datasets"]):
        store = write_features(folder / "artifacts/features" / name, seed, data)
        models = folder / f"artifacts/models/{name}/lsh_{BITS}"
        models.mkdir(parents=True)
        save_description(models, "lsh", CONFIG, WIDTH, BITS)
        for number in range(2):
            model = build(method_class("lsh"), CONFIG, store, BITS, number)
            torch.save(model.state_dict(), models / f"seed_{number}.pt")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    monkeypatch.setenv("CHAIN_THREADS", "1")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    return tmp_path


def test_each_ordered_pair_is_evaluated_with_the_source_s_model(here: Path) -> None:
    write_project(here, "shared.pth")
    assert transfer.transfer(BITS).startswith("transfer: 4 evaluations")
    table = pd.read_csv(here / "metrics/transfer.csv")
    pairs = table[["source", "dataset"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["one", "two"], ["two", "one"]]
    assert (table["sd_strict"] >= 0).all() and table["map_strict"].between(0, 1).all()

    # By hand: the first data set's models hash the second one's clips, mAP@1 of the top clip.
    store = FeatureStore.open(here / "artifacts/features/two")
    split, labels = store.index["split"].to_numpy(), store.index["labels"].to_numpy()
    found = []
    for number in range(2):
        weights = here / f"artifacts/models/one/lsh_{BITS}/seed_{number}.pt"
        model = load_method(weights)
        signs = encode_store(model, store, torch.device("cpu")) >= 0
        for query in np.flatnonzero(split == "query"):
            database = np.flatnonzero(split == "database")
            distances = (signs[database] != signs[query]).sum(axis=1)
            nearest = database[distances == distances.min()]
            found.append((labels[nearest] == labels[query]).mean())
    first = table[(table["source"] == "one") & (table["k"] == 1)]
    assert first["map_strict"].item() == pytest.approx(np.mean(found), abs=1e-5)


def test_data_sets_with_a_cnn_each_do_not_transfer(here: Path) -> None:
    write_project(here, "pretrain")
    assert transfer.transfer(BITS).startswith("transfer: 0 evaluations")
    said = (here / "metrics/transfer.md").read_text()
    assert said == "No two data sets of this run share a CNN.\n"

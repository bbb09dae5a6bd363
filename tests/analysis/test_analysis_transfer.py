"""Which data sets a model may be carried between, and the evaluation of one that is."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from chain.analysis.transfer import DataSet, evaluate_transfers, open_data_set, share_cnn
from chain.core.errors import InputError
from chain.core.files import write_json
from chain.methods import method_config
from chain.methods.lsh import LSH
from chain.methods.saved_models import load_method, save_description
from chain.retrieval.codes import Codes, pack
from chain.retrieval.evaluate import evaluate_roles
from chain.training.encode import encode_store
from chain.training.loop import build

CPU = torch.device("cpu")
BITS, FRAMES, WIDTH, TOPK = 16, 4, 6, [1, 5]
CNN = {"name": "resnet18", "weights": "a.pth", "size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}
ROLES = {"train": "train", "database": "database", "query": "query"}
LSH_CONFIG = method_config("lsh", {"frames": FRAMES})


def made(
    folder: Path, backbone: dict[str, Any] | None = CNN, labels: str = "abc", seed: int = 0
) -> DataSet:
    """A data set of 12 random clips; without `labels` it has no categories."""
    folder.mkdir(parents=True)
    table = {
        "id": [f"{number:03}" for number in range(12)],
        "labels": [labels[number % len(labels)] if labels else "" for number in range(12)],
        "split": ["train", "database", "query", "database"] * 3,
    }
    pd.DataFrame(table).to_csv(folder / "index.csv", index=False)
    features = np.random.default_rng(seed).normal(size=(12, FRAMES, WIDTH))
    np.save(folder / "clean.npy", features.astype(np.float16))
    np.save(folder / "train.npy", np.arange(0, 12, 4))
    write_json(folder / "made_with.json", {"backbone": backbone, "roles": ROLES})
    return open_data_set(folder)


def train(models: Path, data_set: DataSet, seeds: list[int]) -> None:
    cell = models / data_set.name / f"lsh_{BITS}"
    cell.mkdir(parents=True)
    save_description(cell, "lsh", LSH_CONFIG, WIDTH, BITS)
    for seed in seeds:
        model = build(LSH, LSH_CONFIG, data_set.store, BITS, seed)
        torch.save(model.state_dict(), cell / f"seed_{seed}.pt")


def test_a_data_set_is_read_from_its_folder(tmp_path: Path) -> None:
    data_set = made(tmp_path / "one")
    assert data_set.name == "one" and data_set.roles.query == "query"
    assert data_set.cnn is not None and data_set.cnn.name == "resnet18"
    assert len(data_set.store.index) == 12


def test_a_bad_description_of_features_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one/made_with.json: backbone.name: unknown backbone"):
        made(tmp_path / "one", CNN | {"name": "nonsense"})


@pytest.mark.parametrize(
    ("source", "target", "shared"),
    [
        (CNN, CNN, True),
        (CNN, CNN | {"size": 96}, False),
        (CNN, CNN | {"weights": "b.pth"}, False),
        (CNN, None, False),
        (None, CNN, False),
        (None, None, False),
        (CNN | {"weights": "pretrain"}, CNN | {"weights": "pretrain"}, False),
    ],
)
def test_what_shares_a_cnn(
    tmp_path: Path, source: dict[str, Any] | None, target: dict[str, Any] | None, shared: bool
) -> None:
    assert share_cnn(made(tmp_path / "s", source), made(tmp_path / "t", target)) is shared


def test_every_seed_is_evaluated_on_every_other_data_set(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", seed=1), made(tmp_path / "two", seed=2)
    apart = made(tmp_path / "apart", CNN | {"size": 96})
    unlabelled = made(tmp_path / "unlabelled", labels="")
    models, data_sets = tmp_path / "models", [one, two, apart, unlabelled]
    for data_set in data_sets:
        train(models, data_set, [3, 4])
    found = list(evaluate_transfers(data_sets, models, ["lsh"], BITS, TOPK, CPU))

    places = [tuple(table[["source", "dataset", "seed"]].iloc[0]) for table in found]
    pairs = [("one", "two"), ("two", "one"), ("unlabelled", "one"), ("unlabelled", "two")]
    assert sorted(places) == sorted((*pair, seed) for pair in pairs for seed in (3, 4))
    for (source, target, seed), table in zip(places, found, strict=True):
        store = {"one": one, "two": two}[target].store
        model = load_method(models / source / f"lsh_{BITS}" / f"seed_{seed}.pt")
        ids = store.index["id"].to_numpy().astype(str)
        codes = Codes(ids, pack(encode_store(model, store, CPU)))
        expected = evaluate_roles(codes, store.index, one.roles, TOPK)["map"]
        place = {"source": source, "dataset": target, "method": "lsh", "seed": seed}
        pd.testing.assert_frame_equal(table, expected.assign(**place))
    assert found[0]["map_strict"].between(0, 1).all()

"""Ready-made features from their files to mAP, each stage called as the pipeline does."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.io import savemat

from chain.core import params
from chain.core.errors import InputError
from chain.core.scratch import SCRATCH
from chain.views.store import FeatureStore
from stages import check, code, decode, evaluate, features, prepare, pretrain, train

ROOT = Path(__file__).parents[2]
T, F = 4, 6
COUNTS = {"train": 30, "test": 20}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with data set `mini`: two splits of two categories that are easy to tell apart."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    monkeypatch.setenv("CHAIN_THREADS", "1")
    monkeypatch.delenv("CHAIN_DATA", raising=False)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    root = tmp_path / "data/mini"
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        labels = np.eye(2)[np.arange(count) % 2]
        centres = 9 * (labels @ np.array([[1, -1, 1, -1, 1, -1], [-1, 1, 1, 1, -1, -1]]))
        values = centres[:, None] + random.normal(size=(count, T, F))
        with h5py.File(root / f"{split}.h5", "w") as file:
            file["feats"] = values.astype(np.float32)
        savemat(root / f"{split}.mat", {"labels": labels})
    profile = {
        "source": {
            "kind": "features",
            "root": "mini",
            "frames": T,
            "width": F,
            "splits": {
                "train": {"features": ["train.h5"]},
                "test": {"features": ["test.h5"], "labels": ["test.mat"]},
            },
        },
        "roles": {"database": "test", "query": "test"},
        "decode": None,
        "backbone": None,
        "bank": None,
        "methods": {"all": {"frames": T, "spatial": "feature"}},
    }
    tree = params.load(ROOT / "params.yaml")
    tree |= {"datasets": ["mini"], "repeats": 1, "evaluation": {"topk": [1, 5]}}
    tree["figures"]["k"] = 5
    Path("params").mkdir()
    Path("params/mini.yaml").write_text(yaml.safe_dump(profile))
    Path("params.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path


def import_features() -> None:
    prepare.prepare("mini")
    decode.decode("mini")
    pretrain.backbone_weights("mini")
    features.features("mini")


def test_from_files_to_map(here: Path) -> None:
    import_features()
    assert sorted(path.name for path in (here / "artifacts/frames/mini").iterdir()) == ["index.csv"]
    assert torch.load(here / "artifacts/backbones/mini.pt", weights_only=True) == {}
    store = FeatureStore.open(here / "artifacts/features/mini")
    assert not list((here / "artifacts/features/mini").glob("*_done"))
    assert store.clean.shape == (50, T, F) and not store.banks
    assert store.train.tolist() == list(range(20, 50))
    with h5py.File(here / "data/mini/test.h5") as file:
        np.testing.assert_array_equal(store.clean[:20], file["feats"][()].astype(np.float16))
    assert store.index["labels"].tolist() == ["c1", "c2"] * 10 + [""] * 30

    code.code()
    check.check()
    for stage in (train.train_cell, evaluate.evaluate):
        stage("mini", "lsh", 16)
    table: Any = pd.read_csv(here / "artifacts/evaluations/mini/lsh_16/map.csv")
    assert table["map_strict"].tolist() == [1.0, 1.0]  # LSH tells two far categories apart


def test_a_bad_value_leaves_what_was_there(here: Path) -> None:
    import_features()
    before = (here / "artifacts/features/mini/clean.npy").read_bytes()
    with h5py.File(here / "data/mini/train.h5", "r+") as file:
        file["feats"][7, 2, 1] = np.nan
    prepare.prepare("mini")
    decode.decode("mini")
    with pytest.raises(InputError, match=r"data/mini/train\.h5: row 7 holds nan"):
        features.features("mini")
    assert (here / "artifacts/features/mini/clean.npy").read_bytes() == before
    assert [path.name.partition("-")[0] for path in SCRATCH.iterdir()] == ["features"]


def test_a_changed_file_changes_what_the_pipeline_tracks(here: Path) -> None:
    """Other values under the same labels: `features` runs again because the index differs."""
    import_features()
    index = here / "artifacts/frames/mini/index.csv"
    before = index.read_bytes()
    import_features()
    assert index.read_bytes() == before
    with h5py.File(here / "data/mini/train.h5", "r+") as file:
        file["feats"][7, 2, 1] = 1.0
    with pytest.raises(InputError, match="has changed since it was indexed"):
        features.features("mini")
    prepare.prepare("mini")
    decode.decode("mini")
    assert index.read_bytes() != before
    features.features("mini")
    assert FeatureStore.open(here / "artifacts/features/mini").clean[27, 2, 1] == 1

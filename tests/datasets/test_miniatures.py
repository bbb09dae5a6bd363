"""A handful of real clips in each benchmark's own layout, through the stages to its results."""

import hashlib
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from miniatures import MAKE, make_folder
from parameter_files import EXPERIMENT, profile, write_project

from chain.core import params
from chain.retrieval.codes import load_codes
from stages.check import check
from stages.code import code
from stages.decode import decode
from stages.evaluate import evaluate
from stages.features import features
from stages.floats import floats
from stages.prepare import prepare
from stages.pretrain import backbone_weights
from stages.tables import tables
from stages.train import train_cell

CELL = ("chain", 16)
TOPK = [1, 2]  # the larger ones are left out
STRAY = "extra/stray.mp4"
LAYOUTS = MAKE | {"clips": make_folder}

MAKEUP, YOYO = "ApplyEyeMakeup/v_ApplyEyeMakeup", "YoYo/v_YoYo"
STAND = "HandstandPushups/v_HandStandPushups_g08_c01"
HMDB = "act_{0}/#{1}_Clip_(f)_cm_np1_ba_bad_{0}"
JHMDB = "act_{}/clip_f_nm_np1_fr_med_{}"
RELEVANT: dict[str, dict[str, dict[str, bool]]] = {
    "ucf101": {
        f"{MAKEUP}_g01_c01": {f"{MAKEUP}_g08_c01": True, STAND: False, f"{YOYO}_g25_c05": False},
        f"{YOYO}_g01_c01": {f"{MAKEUP}_g08_c01": False, STAND: False, f"{YOYO}_g25_c05": True},
    },
    "hmdb51": {
        HMDB.format(act, 1): {HMDB.format(other, 0): act == other for other in (0, 50)}
        for act in (0, 50)
    },
    "jhmdb": {
        JHMDB.format(act, 1): {JHMDB.format(other, 0): act == other for other in (0, 20)}
        for act in (0, 20)
    },
    "activitynet": {
        "valid-0---C": {"valid-2---E": False, "valid-3---F": True},
        "valid-1---D": {"valid-2---E": True, "valid-3---F": True},
    },
    "fcvid": {"beach/two": {"panda/three": True}, "panda/three": {"beach/two": True}},
    "kinetics": {
        "bu8l-wrkKIQ_001231_001241": {
            "-4t4iAQnXVk_000001_000011": True,
            "Zv_4tGEnAYo_000095_000105": False,
        }
    },
    "clips": {
        f"{category}/2": {"golf/1": category == "golf", "wave/3": category == "wave"}
        for category in ("golf", "wave")
    },
}
"""Query -> clip of its database, itself left out -> whether the lists give them a common label."""

LABELS = {
    "activitynet": {
        "valid-1---D": "Hula hoop;Surfing",
        "v_train1--B": "Cleaning shoes;Polishing shoes",
    },
    "fcvid": {"beach/two": "001;239", "panda/three": "002;239", "four": "002"},
    "kinetics": {"Zv_4tGEnAYo_000095_000105": "tai chi, slow"},
}


def miniature_profile(dataset: str) -> dict[str, Any]:
    """The profile as it is, with the smallest CNN and network."""
    small: dict[str, Any] = {
        "decode": {"frames": 4, "size": 32},
        "backbone": {
            "name": "squeezenet1_1",
            "weights": "cnn.pth",
            "size": 32,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.2, 0.2, 0.2],
        },
        "bank": {"views": 2},
        "methods": {
            "all": {"frames": 4},
            "chain": {
                "encoder": {"width": 128, "depth": 1, "heads": 2},
                "training": {"batch": 2, "epochs": 2},
            },
        },
    }
    if dataset == "activitynet":
        small["source"] = {"queries": 2}
    if dataset == "clips":  # drawn splits depend on the bytes that the encoder writes
        small["source"] = {"split_file": "splits.csv"}
    return params.merge(profile(dataset), small)


def miniature_experiment(dataset: str) -> dict[str, Any]:
    changes = {
        "datasets": [dataset],
        "bits": CELL[1],
        "repeats": 1,
        "grid": {"methods": ["chain"]},
        "evaluation": {"topk": [*TOPK, 50]},
        "ablations": {"tables": []},
        "figures": {"k": 1},
        "runtime": {"device": "cpu", "threads": 1, "workers": 1},
    }
    return params.merge(EXPERIMENT, changes)


@pytest.fixture(params=LAYOUTS)
def dataset(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_clip: Callable[..., Path],
) -> str:
    """A data set whose tables have just been made in the current folder."""
    name: str = request.param

    def put(root: Path, path: str) -> None:
        seed = int(hashlib.sha256(path.encode()).hexdigest()[:8], 16)
        corners = np.random.default_rng(seed).integers(0, 2, (2, 2, 3)).astype(np.uint8) * 255
        frames = np.tile(corners.repeat(16, axis=0).repeat(16, axis=1), (6, 1, 1, 1))
        codec = "libvpx" if path.endswith(".webm") else "mpeg4"
        write_clip(root / path, frames, codec=codec)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAIN_DATA", raising=False)
    monkeypatch.delenv("CHAIN_DEVICE", raising=False)
    monkeypatch.setenv("CHAIN_THREADS", "1")
    own = miniature_profile(name)
    write_project(miniature_experiment(name), {name: own})
    root = Path("data") / own["source"]["root"]
    LAYOUTS[name](root, put=put)
    if name != "clips":
        (root / STRAY).parent.mkdir()
        put(root, STRAY)
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), "cnn.pth")

    code()
    check()
    for stage in (prepare, decode, backbone_weights, features, floats):
        stage(name)
    for stage_of_cell in (train_cell, evaluate):
        stage_of_cell(name, *CELL)
    tables(name, str(CELL[1]))
    return name


def expected_ap(distances: list[int], relevant: list[bool], k: int) -> float:
    """AP@K of one query, averaged over every order of its tied items; slow."""
    scores = []
    for order in permutations(range(len(distances))):
        ranked = [distances[item] for item in order]
        if ranked == sorted(ranked):
            hits = np.array([relevant[item] for item in order])
            precision = hits.cumsum() / np.arange(1, len(hits) + 1)
            scores.append((precision * hits)[:k].sum() / min(k, hits.sum()))
    return float(np.mean(scores))


def test_from_the_lists_to_the_results(dataset: str) -> None:
    index = pd.read_csv(f"artifacts/features/{dataset}/index.csv", index_col="id", dtype=str)
    assert not any("stray" in name for name in index.index)
    for name, labels in LABELS.get(dataset, {}).items():
        assert index["labels"][name] == labels
    clean = np.load(f"artifacts/features/{dataset}/clean.npy")
    assert clean.shape == (len(index), 4, 512) and np.isfinite(clean).all()
    assert len(np.unique(clean.mean(axis=1), axis=0)) == len(index)
    history = pd.read_csv(f"artifacts/models/{dataset}/chain_16/history.csv")
    assert history["epoch"].tolist() == [1, 2] and np.isfinite(history["loss"]).all()

    codes = load_codes(Path(f"artifacts/codes/{dataset}/chain_16"), 0, index.reset_index(), 16)
    bits = dict(zip(codes.ids.tolist(), np.unpackbits(codes.codes, axis=1), strict=True))
    assert bits.keys() == set(index.index)
    assert len(np.unique(codes.codes, axis=0)) > 1
    queries = pd.read_csv(f"artifacts/evaluations/{dataset}/chain_16/queries.csv", index_col="id")
    assert set(queries.index) == set(RELEVANT[dataset])
    scores = pd.read_csv(f"artifacts/evaluations/{dataset}/chain_16/map.csv")
    topk = scores["k"].tolist()
    assert topk == TOPK
    for query, database in RELEVANT[dataset].items():
        distances = [int((bits[query] != bits[name]).sum()) for name in database]
        for k in topk:
            expected = expected_ap(distances, list(database.values()), k)
            assert queries[f"ap{k}"][query] == pytest.approx(expected, abs=1e-5)
    assert scores["map_ssvh"].between(0, 1).all()
    means = [queries[f"ap{k}"].mean() for k in topk]
    assert scores["map_strict"].tolist() == pytest.approx(means, abs=1e-5)

    text = Path("metrics/retrieval.md").read_text()
    assert f"{scores['map_strict'][0]:.3f}" in text
    stray = f"1 clips in no list, left out: {STRAY}"
    assert (stray in text) == (dataset != "clips")
    assert ("(published: " in text) == (dataset not in ("clips", "kinetics"))

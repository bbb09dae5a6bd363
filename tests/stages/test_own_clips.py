"""A small folder of clips with the committed profile, each stage called as the pipeline does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from parameter_files import EXPERIMENT, profile, write_project

from chain.core import params
from chain.core.errors import InputError
from stages import (
    check,
    claims,
    code,
    decode,
    evaluate,
    features,
    figures,
    floats,
    headline,
    prepare,
    pretrain,
    tables,
    train,
)

SMALL = {
    "decode": {"frames": 8, "size": 32},
    "backbone": {"size": 32},
    "bank": {"views": 1},
    "methods": {"all": {"training": {"epochs": 2}}},  # the rest is as it comes
}
METHODS = ["lsh", "pca_rotation", "chain"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_clip: Callable[..., Path]) -> Path:
    """A project with a dozen clips in each of two categories."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    monkeypatch.setenv("CHAIN_THREADS", "1")
    monkeypatch.delenv("CHAIN_DATA", raising=False)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    random = np.random.default_rng(0)
    for category in ("jump", "wave"):
        for number in range(12):
            frames = random.integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
            write_clip(tmp_path / f"data/clips/{category}/{number}.avi", frames)
    write({})
    return tmp_path


def write(change: dict[str, Any]) -> None:
    tree = {"datasets": ["clips"], "repeats": 1, "ablations": {"tables": []}}
    tree |= {"grid": {"methods": METHODS}}
    write_project(
        params.merge(EXPERIMENT, tree), {"clips": params.merge(profile("clips"), SMALL, change)}
    )


def test_two_dozen_clips_need_no_other_parameter(here: Path) -> None:
    code.code()
    check.check()
    for stage in (
        prepare.prepare,
        decode.decode,
        pretrain.backbone_weights,
        features.features,
        floats.floats,
    ):
        stage("clips")
    for method in METHODS:
        train.train_cell("clips", method, 64)
        evaluate.evaluate("clips", method, 64)
    splits = pd.read_csv(here / "artifacts/features/clips/index.csv")["split"].value_counts()
    assert 8 <= splits["train"] < 16 and 5 <= splits["database"] < 10  # as their contents fall
    trained = json.loads((here / "artifacts/models/clips/chain_64/model.json").read_text())
    assert trained["parameters"]["training"]["batch"] == 8
    assert trained["parameters"]["encoder"]["depth"] == 1
    scores = pd.read_csv(here / "artifacts/evaluations/clips/chain_64/map.csv")
    assert list(scores["k"]) == [5]  # of `evaluation.topk`, with so small a database

    assert "at 64 bits: strict map5 0." in headline.headline()
    metrics = json.loads((here / "metrics/headline.json").read_text())
    assert set(metrics) == {"clips"} and set(metrics["clips"]["strict"]) == {"map5"}
    tables.tables("clips", "64")
    figures.figures("clips", "64")
    assert {path.stem for path in (here / "plots/figures").iterdir()} >= {"map_strict"}
    claims.claims()
    verdicts = pd.read_csv(here / "metrics/claims.csv").query("`data set` == 'clips'")["verdict"]
    assert verdicts.str.startswith("not run here").all()


def test_weights_that_can_not_be_had_are_noticed_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> None:
        raise TimeoutError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    write({"backbone": {"name": "squeezenet1_1"}})
    code.code()
    with pytest.raises(InputError, match=r"'IMAGENET1K_V1' can't be downloaded \(no network\)"):
        check.check()
    assert not (here / "artifacts/recipes").exists()

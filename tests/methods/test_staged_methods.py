"""Methods that change from epoch to epoch, through the training loop: stopped, resumed, encoded."""

from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from chain.core.params import parse
from chain.methods.base import Method, MethodConfig
from chain.methods.mcmsh import MCMSH
from chain.methods.wsch import WSCH
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import build, train
from chain.views.store import FeatureStore

CPU = torch.device("cpu")
STEPS = 2  # an epoch
TRAINING = {
    "epochs": 6,
    "batch": 8,
    "optimiser": "adam",
    "lr": 0.01,
    "weight_decay": 0.0,
    "schedule": "step",
    "floor": 0.0,
    "precision": "fp32",
}
PARAMETERS: dict[type[Method], dict[str, object]] = {
    MCMSH: {
        "frames": 4,
        "width": 16,
        "depth": 1,
        "clusters": 5,
        "margin": 0.5,
        "weights": {"cluster": 0.8, "similarity": 0.1, "quantisation": 0.01, "quadruplet": 0.01},
        "training": TRAINING,
    },
    WSCH: {
        "frames": 4,
        "encoder": {"width": 16, "depth": 1, "heads": 4},
        "decoder": {"width": 16, "depth": 1, "heads": 2},
        "mask_ratio": 0.9,
        "second_mask_ratio": 0.6,
        "reconstruct_epochs": 2,
        "clusters": 5,
        "contrastive_weight": 1.0,
        "temperature": 0.5,
        "tau_plus": 0.1,
        "training": TRAINING,
    },
}


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    clean = np.random.default_rng(0).normal(size=(22, 6, 10)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(22)}), clean, np.arange(1, 20), {})


def config_of(method: type[Method]) -> MethodConfig:
    return parse(method.Config, PARAMETERS[method], "methods.x")


def start(method: type[Method], store: FeatureStore) -> Method:
    return build(method, config_of(method), store, 16, 0)


def same(first: Method, second: Method) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def stop_after(steps: int, model: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the step that follows the first `steps`."""
    losses, calls = model.losses, count()

    def interrupted(*batch: Tensor) -> dict[str, Tensor]:
        if next(calls) == steps:
            raise KeyboardInterrupt
        return losses(*batch)

    monkeypatch.setattr(model, "losses", interrupted)


@pytest.mark.parametrize("method", PARAMETERS)
def test_stopped_in_any_epoch_and_resumed(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: type[Method]
) -> None:
    (tmp_path / "whole").mkdir()
    whole = start(method, store)
    history = train(whole, store, 7, CPU, tmp_path / "whole")

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    for epoch in range(1, 6):
        scratch = tmp_path / str(epoch)
        scratch.mkdir()
        killed = start(method, store)
        stop_after(epoch * STEPS + 1, killed, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train(killed, store, 7, CPU, scratch)
        assert not same(killed, whole)

        resumed = start(method, store)
        torch.manual_seed(99)
        assert train(resumed, store, 7, CPU, scratch).equals(history)
        assert same(resumed, whole)


@pytest.mark.parametrize("method", PARAMETERS)
def test_fresh_model_encodes_with_loaded_weights(
    store: FeatureStore, tmp_path: Path, method: type[Method]
) -> None:
    trained = start(method, store)
    initial = encode_store(trained, store, CPU)
    train(trained, store, 7, CPU, tmp_path)
    codes = encode_store(trained, store, CPU)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(1)
    fresh = method(config_of(method), store.width, 16)
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert np.array_equal(encode_store(fresh, store, CPU), codes)
    assert not np.array_equal(codes, initial) and np.isfinite(codes).all()

"""Parameters and features so small that a method trains in a second."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from chain.core import params
from chain.methods import METHODS, method_class
from chain.methods.base import Method
from chain.pipeline.layers import ALL, applicable
from chain.views.store import FeatureStore

PUBLISHED: dict[str, dict[str, Any]] = params.load(Path(__file__).parents[1] / "params.yaml")[
    "methods"
]
LEARNED = [
    name for name in METHODS if method_class(name).Config.model_fields["training"].is_required()
]
SIZE = {"width": 16, "depth": 1, "heads": 2}
SMALL: dict[str, dict[str, Any]] = {
    "lsh": {},
    "pca_itq": {},
    "pca_itq_halves": {},
    "pca_rotation": {},
    "bth": {"width": 16, "anchors": 6, "pretrain_epochs": 1},
    "mcmsh": {"width": 16, "clusters": 6},
    "conmh": {"encoder": SIZE, "decoder": SIZE, "mask_ratio": 0.5},
    "wsch": {
        "encoder": {"width": 16, "heads": 2},
        "decoder": {"width": 16, "heads": 2},
        "first_mask_ratio": 0.5,
        "second_mask_ratio": 0.5,
        "clusters": 4,
        "warmup_epochs": 1,
    },
    "s5vh": {
        "encoder": {"width": 16, "depth": 1},
        "decoder": {"width": 16, "depth": 1},
        "mask_ratio": 0.5,
        "clusters": 4,
        "warmup_epochs": 1,
    },
    "autossvh": {
        "encoder": SIZE,
        "decoder": SIZE,
        "mask_ratio": 0.5,
        "prototypes": [3, 6],
        "warmup_epochs": 1,
    },
    "chain": {"encoder": SIZE, "scene": {"preference": 1.0}},
    "chain_plus": {"encoder": SIZE, "scene": {"preference": 1.0}},
}


def training(**changes: Any) -> dict[str, Any]:
    """All parameters of a short training."""
    return {
        "epochs": 1,
        "batch": 4,
        "optimiser": "adam",
        "lr": 0.01,
        "weight_decay": 0.0,
        "schedule": "step",
        "floor": 0.0,
        "precision": "fp32",
    } | changes


def small(name: str, **training: Any) -> dict[str, Any]:
    """The parameters of a method for `small_store`: the published ones, but for the size."""
    shared = applicable(PUBLISHED[ALL], method_class(name).Config)
    changes: dict[str, Any] = {"frames": 4}
    if name in LEARNED:
        changes["training"] = {"batch": 12, "epochs": 3, "lr": 0.001} | training
    return params.merge(shared, PUBLISHED[name], SMALL[name], changes)


def without_dropout(model: Method) -> Method:
    """The model, whose results no longer depend on dropout's masks in training mode either."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def lowers_its_loss(model: Method, batch: tuple[Tensor, ...], steps: int = 20) -> bool:
    """Whether `steps` steps on one batch lower its loss; dropout is switched off for good."""
    without_dropout(model).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(steps):
        loss = model.losses(*batch)["loss"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return losses[-1] < losses[0]


def small_store() -> FeatureStore:
    """Thirty clips of six frames, of which 28 are for training and have three augmented views."""
    random = np.random.default_rng(0)
    clean = random.normal(size=(30, 6, 8)).astype(np.float16)
    # Two scenes a clip, else the scene task has nothing to do.
    clean[:, 3:] += 3
    views = (clean[2:, None] + random.normal(size=(28, 3, 6, 8)) / 4).astype(np.float16)
    index = pd.DataFrame({"id": range(30), "labels": "a", "split": "train"})
    return FeatureStore(index, clean, np.arange(2, 30), {"consistent": views})

"""Transfer: a model that was trained on one data set retrieves the clips of another."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pandas as pd
import torch

from chain.analysis.ablation import encode_and_evaluate
from chain.backbones.networks import PRETRAIN, BackboneConfig
from chain.backbones.weights import backbone_config
from chain.core.errors import reading
from chain.core.files import by_seed
from chain.core.params import parse
from chain.datasets.manifest import Roles, has_labels
from chain.methods.saved_models import load_method
from chain.views.store import FeatureStore


@dataclass(frozen=True, eq=False)
class DataSet:
    """The features of a data set, the roles of its splits, and the CNN that made the features."""

    name: str
    store: FeatureStore
    roles: Roles
    cnn: BackboneConfig | None
    """None if the features came ready-made."""


def open_data_set(folder: Path) -> DataSet:
    """The data set whose features the stage `features` wrote to a folder of its name."""
    file = folder / "made_with.json"
    with reading(file, "a description of features"):
        made_with = json.loads(file.read_text())
        backbone, roles = made_with["backbone"], made_with["roles"]
    return DataSet(
        name=folder.name,
        store=FeatureStore.open(folder),
        roles=parse(Roles, roles, "roles", file),
        cnn=backbone_config(backbone, "backbone", file) if backbone else None,
    )


def share_cnn(source: DataSet, target: DataSet) -> bool:
    """Whether the same CNN made the features of both.

    It did not if either has ready-made features, or if each has pre-trained a CNN of its own.
    """
    known = source.cnn is not None and source.cnn.weights != PRETRAIN
    return known and source.cnn == target.cnn


def evaluate_transfers(
    data_sets: Sequence[DataSet],
    models: Path,
    methods: Sequence[str],
    bits: int,
    topk: list[int],
    device: torch.device,
) -> Iterator[pd.DataFrame]:
    """Evaluate every model of one data set on every other that shares its CNN and has categories.

    The models of a seed lie at `<models>/<data set>/<method>_<bits>/seed_<n>.pt`. Yields a table
    for each model and target, with columns k, map_strict, map_ssvh, source, dataset (the target),
    method and seed.
    """
    for source, target in permutations(data_sets, 2):
        if not share_cnn(source, target) or not has_labels(target.store.index):
            continue
        for method in methods:
            trained = by_seed(models / source.name / f"{method}_{bits}", ".pt")
            for seed, weights in trained.items():
                tables = encode_and_evaluate(
                    load_method(weights), target.store, target.roles, topk, device
                )
                yield tables["map"].assign(
                    source=source.name, dataset=target.name, method=method, seed=seed
                )

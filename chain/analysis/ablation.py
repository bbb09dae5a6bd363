"""Ablations: a method with one thing changed, trained and evaluated beside the grid."""

from pathlib import Path

import pandas as pd
import torch

from chain.core.files import write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import Roles
from chain.methods.base import Method
from chain.results.grid import read_table
from chain.retrieval.codes import Codes, pack
from chain.retrieval.evaluate import evaluate_roles
from chain.training.encode import encode_store
from chain.training.loop import Run, train_run
from chain.views.store import FeatureStore

TABLES = ("map", "queries")


def encode_and_evaluate(
    model: Method, store: FeatureStore, roles: Roles, topk: list[int], device: torch.device
) -> dict[str, pd.DataFrame]:
    """The tables of `Evaluation.tables` for the codes of all clips of a store."""
    codes = Codes(
        store.index["id"].to_numpy().astype(str), pack(encode_store(model, store, device))
    )
    return evaluate_roles(codes, store.index, roles, topk)


def run_variant(
    run: Run, roles: Roles, topk: list[int], machine: RuntimeConfig, scratch: Path
) -> dict[str, pd.DataFrame]:
    """Train, encode and evaluate; the tables `map` and `queries` (see `Evaluation.tables`).

    What is done is kept in `scratch`, so that a killed run loses no finished training.
    """
    paths = {name: scratch / f"{name}.csv" for name in TABLES}
    if not all(path.exists() for path in paths.values()):
        scratch.mkdir(exist_ok=True)
        model, _ = train_run(run, machine, scratch)
        store = FeatureStore.open(run.features)
        device = set_up(machine, training=True)
        tables = encode_and_evaluate(model, store, roles, topk, device)
        for name, path in paths.items():
            write_csv(path, tables[name])
    return {name: read_table(path) for name, path in paths.items()}

"""Ablations: a method with one thing changed is trained and evaluated."""

from pathlib import Path

import pandas as pd
import torch

from chain.core.files import write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import Roles
from chain.methods.base import Method
from chain.results.score_files import COLUMNS, read_table
from chain.retrieval.codes import Codes, pack
from chain.retrieval.evaluate import evaluate_roles
from chain.training.encode import encode_store
from chain.training.loop import Run, train_run
from chain.views.store import FeatureStore

TABLES = ("map", "queries")


def encode_and_evaluate(
    model: Method, store: FeatureStore, roles: Roles, topk: list[int], device: torch.device
) -> dict[str, pd.DataFrame]:
    """Encode all clips of a store and evaluate the codes; the tables of `Evaluation.tables`."""
    ids = store.index["id"].to_numpy().astype(str)
    codes = Codes(ids, pack(encode_store(model, store, device)))
    return evaluate_roles(codes, store.index, roles, topk)


def run_variant(
    run: Run, roles: Roles, topk: list[int], machine: RuntimeConfig, scratch: Path
) -> dict[str, pd.DataFrame]:
    """Train, encode and evaluate; returns the tables `map` and `queries` of `Evaluation.tables`.

    The training keeps its checkpoints in `scratch`, and the tables are written there. So a run that
    was killed goes on where it stopped, and one that was finished is only read.
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
    return {name: read_table(path, COLUMNS[name]) for name, path in paths.items()}

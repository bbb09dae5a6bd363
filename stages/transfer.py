"""Train on one data set, retrieve on another: every ordered pair that shares its CNN."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd

from chain.analysis.ablation import encode_and_evaluate
from chain.backbones.networks import PRETRAIN
from chain.backbones.weights import backbone_config
from chain.core.files import by_seed, replacing, write_csv
from chain.core.params import parse
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import Roles, has_labels
from chain.methods.saved_models import load_method
from chain.results.ablation_tables import TRANSFER, transfer_markdown
from chain.results.grid import over_seeds
from chain.retrieval.config import EvaluationConfig
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, run

METRICS = Path("metrics")


def transfer(bits: int) -> str:
    datasets, grid, evaluation, runtime = parameters("datasets", "grid", "evaluation", "runtime")
    topk = parse(EvaluationConfig, evaluation, "evaluation").topk
    device = set_up(parse(RuntimeConfig, runtime, "runtime"), training=True)
    stores = {name: FeatureStore.open(ARTIFACTS / "features" / name) for name in datasets}
    made_with = {
        name: json.loads((ARTIFACTS / "features" / name / "made_with.json").read_text())
        for name in datasets
    }
    found = []
    for source, target in permutations(datasets, 2):
        store = stores[target]
        if not _share_cnn(made_with[source], made_with[target]) or not has_labels(store.index):
            continue
        roles = parse(Roles, made_with[target]["roles"], f"data.{target}.roles")
        for method in grid["methods"]:
            trained = by_seed(ARTIFACTS / "models" / source / f"{method}_{bits}", ".pt")
            for seed, weights in trained.items():
                model = load_method(weights)
                scores = encode_and_evaluate(model, store, roles, topk, device)["map"]
                place = {"source": source, "dataset": target, "method": method, "seed": seed}
                found.append(scores.assign(**place))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    table = over_seeds(table, "k", TRANSFER)
    write_csv(METRICS / "transfer.csv", table)
    with replacing(METRICS / "transfer.md") as temporary:
        temporary.write_text(transfer_markdown(table))
    return f"transfer: {len(found)} evaluations in {METRICS}/transfer.md"


def _share_cnn(source: dict[str, Any], target: dict[str, Any]) -> bool:
    """Not where each has pre-trained a CNN of its own, or the features are ready-made."""
    if not source["backbone"] or not target["backbone"]:
        return False
    mine, theirs = (backbone_config(data["backbone"], "backbone") for data in (source, target))
    return mine == theirs and mine.weights != PRETRAIN


if __name__ == "__main__":
    run(transfer, "bits")

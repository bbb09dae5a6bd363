"""Hash codes of every clip, and their mAP@K and precision-recall by Hamming ranking."""

import numpy as np

from chain.core.files import by_seed, replacing, write_csv, write_json
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import Roles, has_labels
from chain.methods.saved_models import load_method
from chain.retrieval.codes import Codes, code_statistics, pack, save_codes
from chain.retrieval.config import EvaluationConfig
from chain.retrieval.evaluate import evaluate_roles, stack_seeds
from chain.training.encode import encode_store
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parsed, run


def evaluate(dataset: str, method: str, bits: int) -> str:
    roles = parsed(Roles, "roles", dataset)
    topk = parsed(EvaluationConfig, "evaluation").topk
    device = set_up(parsed(RuntimeConfig, "runtime"))
    cell = f"{method}_{bits}"
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    models = by_seed(ARTIFACTS / "models" / dataset / cell, ".pt")
    ids = store.index["id"].to_numpy(dtype=np.str_)
    codes = {
        seed: Codes(ids, pack(encode_store(load_method(weights), store, device)))
        for seed, weights in models.items()
    }
    with replacing(ARTIFACTS / "codes" / dataset / cell) as out:
        save_codes(out, ids.tolist(), {seed: of_seed.codes for seed, of_seed in codes.items()})
        statistics = {f"seed_{n}": code_statistics(one.codes) for n, one in codes.items()}
        write_json(out / "statistics.json", statistics)
    with replacing(ARTIFACTS / "evaluations" / dataset / cell) as out:
        out.mkdir()
        if not has_labels(store.index):
            return f"evaluate: codes of {bits} bits by {method}; {dataset} has no categories"
        tables = {
            seed: evaluate_roles(of_seed, store.index, roles, topk)
            for seed, of_seed in codes.items()
        }
        for name, table in stack_seeds(tables).items():
            write_csv(out / f"{name}.csv", table)
    seed = min(tables)
    scores = tables[seed]["map"].set_index("k")["map_strict"]
    shown = ", ".join(f"mAP@{k} {value:.3f}" for k, value in scores.items())
    return f"evaluate: {method} on {dataset} at {bits} bits, strict, seed {seed}: {shown}"


if __name__ == "__main__":
    run(evaluate, "dataset", "method", "bits")

"""mAP@K and precision-recall by Hamming ranking, once for each seed."""

from chain.core.files import by_seed, replacing, write_csv
from chain.core.params import parse
from chain.datasets.manifest import Roles, has_labels, read_index
from chain.retrieval.codes import load_codes
from chain.retrieval.config import EvaluationConfig
from chain.retrieval.evaluate import evaluate_roles, stack_seeds
from stages.common import ARTIFACTS, parameters, run


def evaluate_cell(dataset: str, method: str, bits: int) -> str:
    roles, evaluation = parameters(f"data.{dataset}.roles", "evaluation")
    roles = parse(Roles, roles, f"data.{dataset}.roles")
    topk = parse(EvaluationConfig, evaluation, "evaluation").topk
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    cell = f"{method}_{bits}"
    with replacing(ARTIFACTS / "evaluations" / dataset / cell) as out:
        out.mkdir()
        if not has_labels(index):
            return f"evaluate: {dataset} has no categories, so there is nothing to evaluate"
        folder = ARTIFACTS / "codes" / dataset / cell
        tables = {
            seed: evaluate_roles(load_codes(folder, seed), index, roles, topk)
            for seed in by_seed(folder, ".npy")
        }
        for name, table in stack_seeds(tables).items():
            write_csv(out / f"{name}.csv", table)
    seed = min(tables)
    scores = tables[seed]["map"].set_index("k")["map_strict"]
    shown = ", ".join(f"mAP@{k} {value:.3f}" for k, value in scores.items())
    return f"evaluate: {method} on {dataset} at {bits} bits, strict, seed {seed}: {shown}"


if __name__ == "__main__":
    run(evaluate_cell, "dataset", "method", "bits")

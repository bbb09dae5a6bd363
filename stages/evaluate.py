"""mAP@K and precision-recall by Hamming ranking, once for each seed."""

import pandas as pd

from chain.codes import load_codes, take
from chain.datasets.manifest import Roles, has_labels, label_matrix, read_index, select
from chain.files import replacing, write_csv
from chain.params import parse
from chain.retrieval.config import EvaluationConfig
from chain.retrieval.evaluate import evaluate
from stages.common import ARTIFACTS, parameters, run


def evaluate_cell(dataset: str, method: str, bits: int) -> str:
    roles, evaluation, seed, repeats = parameters(
        f"data.{dataset}.roles", "evaluation", "seed", "repeats"
    )
    roles = parse(Roles, roles, f"data.{dataset}.roles")
    topk = parse(EvaluationConfig, evaluation, "evaluation").topk
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    cell = f"{method}_{bits}"
    with replacing(ARTIFACTS / "evaluations" / dataset / cell) as out:
        out.mkdir()
        if not has_labels(index):
            return f"evaluate: {dataset} has no categories, so there is nothing to evaluate"
        labels, _ = label_matrix(index["labels"])
        query, database = select(index, roles.query), select(index, roles.database)
        by_seed = []
        for number in range(seed, seed + repeats):
            codes = load_codes(ARTIFACTS / "codes" / dataset / cell / f"seed_{number}.npz")
            found = take(codes, query), take(codes, database)
            result = evaluate(*found, labels[query], labels[database], topk)
            by_seed.append(result.tables(codes.ids[query]))
        for name in by_seed[0]:
            seeds = pd.concat(
                [tables[name] for tables in by_seed], keys=range(seed, seed + repeats)
            )
            write_csv(out / f"{name}.csv", seeds.reset_index(0, names="seed"))
    scores = by_seed[0]["map"].set_index("k")["map_strict"]
    shown = ", ".join(f"mAP@{k} {value:.3f}" for k, value in scores.items())
    return f"evaluate: {method} on {dataset} at {bits} bits, strict, seed {seed}: {shown}"


if __name__ == "__main__":
    run(evaluate_cell, "dataset", "method", "bits")

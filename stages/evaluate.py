"""mAP@K and precision-recall by Hamming ranking, once for each seed."""

import pandas as pd

from chain.codes import load_codes
from chain.datasets.manifest import Roles, has_labels, label_matrix, read_index, select
from chain.files import replacing, write_csv, write_json
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
    scores, aps, ranks, radii = [], [], [], []
    with replacing(ARTIFACTS / "evaluations" / dataset / cell) as out:
        out.mkdir()
        if not has_labels(index):
            return f"evaluate: {dataset} has no categories, so there is nothing to evaluate"
        labels, _ = label_matrix(index["labels"])
        query, database = select(index, roles.query), select(index, roles.database)
        for number in range(seed, seed + repeats):
            codes = load_codes(ARTIFACTS / "codes" / dataset / cell / f"seed_{number}.npz")
            result = evaluate(
                codes.take(query), codes.take(database), labels[query], labels[database], topk
            )
            for k in topk:
                row = {"seed": number, "k": k}
                row |= {"map_strict": result.map_strict[k], "map_ssvh": result.map_ssvh[k]}
                scores.append(row)
            ap = pd.DataFrame({f"ap{k}": result.ap_strict[k] for k in topk})
            ap.insert(0, "id", codes.ids[query])
            aps.append(ap[result.answerable].assign(seed=number))
            ranks.append(result.by_rank.assign(seed=number))
            radii.append(result.by_radius.assign(seed=number))
        for name, tables in {
            "map": [pd.DataFrame(scores)], "queries": aps, "by_rank": ranks, "by_radius": radii
        }.items():
            write_csv(out / f"{name}.csv", pd.concat(tables))
        write_json(out / "sizes.json", {"queries": len(query), "database": len(database)})
    mean = pd.DataFrame(scores).groupby("k")["map_strict"].mean()
    shown = ", ".join(f"mAP@{k} {value:.3f}" for k, value in mean.items())
    return f"evaluate: {method} on {dataset} at {bits} bits, strict: {shown}"


if __name__ == "__main__":
    run(evaluate_cell, "dataset", "method", "bits")

"""One table of ablations: a method with one thing changed, every variant from every seed."""

from itertools import product

import pandas as pd

from chain.analysis.ablation import TABLES, run_variant
from chain.analysis.variants import Variants
from chain.core.files import replacing, write_csv
from chain.core.params import parse
from chain.core.processes import side_by_side
from chain.core.runtime import RuntimeConfig
from chain.core.scratch import scratch_folder
from chain.datasets.manifest import Roles, has_labels, read_index
from chain.methods import method_config
from chain.retrieval.config import EvaluationConfig
from chain.training import Run
from stages.common import ARTIFACTS, parameters, run


def ablate(dataset: str, method: str, table: str, bits: int) -> str:
    variants, shared, own, published, roles, evaluation, seed, repeats, runtime = parameters(
        f"ablations.{method}.{table}",
        f"data.{dataset}.methods.all",
        f"data.{dataset}.methods.{method}",
        f"methods.{method}",
        f"data.{dataset}.roles",
        "evaluation",
        "seed",
        "repeats",
        "runtime",
    )
    variants = parse(Variants, variants, f"ablations.{method}.{table}").root
    roles = parse(Roles, roles, f"data.{dataset}.roles")
    topk = parse(EvaluationConfig, evaluation, "evaluation").topk
    machine = parse(RuntimeConfig, runtime, "runtime")
    features = ARTIFACTS / "features" / dataset
    cells = list(product(variants, range(seed, seed + repeats)))
    configs = {
        name: method_config(method, published, shared, own, changed)
        for name, changed in variants.items()
    }
    key = {
        "variants": {name: config.model_dump() for name, config in configs.items()},
        "bits": bits,
        "roles": roles.model_dump(),
        "topk": topk,
        "threads": machine.training_threads,
    }
    with (
        scratch_folder(f"ablate-{dataset}-{table}", key, sorted(features.glob("*"))) as scratch,
        replacing(ARTIFACTS / "ablations" / dataset / table) as out,
    ):
        out.mkdir()
        if not has_labels(read_index(features / "index.csv")):
            return f"ablate: {dataset} has no categories, so there is nothing to compare"
        jobs = [
            (Run(method, configs[name], features, bits, number), roles, topk, machine, folder)
            for name, number in cells
            for folder in [scratch / f"{name}_{number}"]
        ]
        found = side_by_side(run_variant, jobs, machine.workers + 1)
        for kind in TABLES:
            whole = pd.concat([one[kind] for one in found], keys=cells, names=["variant", "seed"])
            write_csv(out / f"{kind}.csv", whole.reset_index([0, 1]))
    return f"ablate: {table} of {method} on {dataset} at {bits} bits: {', '.join(variants)}"


if __name__ == "__main__":
    run(ablate, "dataset", "method", "table", "bits")

"""One table of ablations: a method with one thing changed, every variant from every seed."""

from itertools import product

import pandas as pd

from chain.analysis.ablation import TABLES, run_variant
from chain.core.files import replacing, write_csv
from chain.core.processes import side_by_side
from chain.core.runtime import RuntimeConfig
from chain.core.scratch import scratch_folder
from chain.datasets.manifest import Roles, has_labels, read_index
from chain.pipeline.recipes import read_recipe
from chain.retrieval.config import EvaluationConfig
from chain.training.loop import Run
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, parsed, run


def ablate(dataset: str, table: str, bits: int) -> str:
    seed, repeats = parameters("seed", "repeats")
    roles = parsed(Roles, "roles", dataset)
    topk = parsed(EvaluationConfig, "evaluation").topk
    machine = parsed(RuntimeConfig, "runtime")
    recipe = read_recipe(ARTIFACTS / "recipes" / dataset / "ablations" / f"{table}.json")
    features = ARTIFACTS / "features" / dataset
    clips = len(FeatureStore.open(features).train)
    configs = recipe.configs(clips)
    for line in recipe.fitted_sizes(clips):
        print(line, flush=True)
    cells = list(product(configs, range(seed, seed + repeats)))
    key = recipe.model_dump() | {
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
        if not cells or not has_labels(read_index(features / "index.csv")):
            return f"ablate: nothing of {table} on {dataset}: no categories, or no such views"
        jobs = []
        for name, number in cells:
            training = Run(recipe.method, configs[name], features, bits, number)
            jobs.append((training, roles, topk, machine, scratch / f"{name}_{number}"))
        found = side_by_side(run_variant, jobs, machine.workers + 1)
        for kind in TABLES:
            whole = pd.concat([one[kind] for one in found], keys=cells, names=["variant", "seed"])
            write_csv(out / f"{kind}.csv", whole.reset_index([0, 1]))
    return f"ablate: {table} of {recipe.method} on {dataset} at {bits} bits: {', '.join(configs)}"


if __name__ == "__main__":
    run(ablate, "dataset", "table", "bits")

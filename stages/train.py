"""Train one method at one code length, once for each seed, the seeds side by side.

Under `torchrun`, several processes share each training and the seeds follow one another.
"""

import pandas as pd

from chain.core.files import replacing, write_csv
from chain.core.processes import side_by_side
from chain.core.runtime import RuntimeConfig
from chain.core.scratch import SCRATCH, scratch_folder
from chain.methods.saved_models import save_description
from chain.pipeline.recipes import UNCHANGED, read_recipe
from chain.training import distributed
from chain.training.loop import Run, train_and_save, train_run
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, parsed, run


def train_cell(dataset: str, method: str, bits: int) -> str:
    seed, repeats = parameters("seed", "repeats")
    machine = parsed(RuntimeConfig, "runtime")
    recipe = read_recipe(ARTIFACTS / "recipes" / dataset / f"{method}.json")
    features, cell = ARTIFACTS / "features" / dataset, f"{method}_{bits}"
    store = FeatureStore.open(features)
    config = recipe.configs(len(store.train))[UNCHANGED]
    for line in recipe.fitted_sizes(len(store.train)):
        print(line, flush=True)
    processes = distributed.processes()
    key = recipe.model_dump() | {"threads": machine.training_threads, "processes": processes}
    runs = [Run(method, config, features, bits, seed + number) for number in range(repeats)]
    with distributed.joined() as rank:
        if rank:  # the first writes for all
            for one in runs:
                train_run(one, machine, SCRATCH)
            return f"train: {method} on {dataset} at {bits} bits, process {rank} done"
        with (
            scratch_folder(f"train-{dataset}-{cell}", key, sorted(features.glob("*.npy"))) as work,
            replacing(ARTIFACTS / "models" / dataset / cell) as out,
        ):
            out.mkdir()
            save_description(out, method, config, store.width, bits)
            # One more than the workers: else a core waits while the last of three seeds is trained.
            workers = 1 if processes > 1 else machine.workers + 1
            jobs = [(one, machine, work, out) for one in runs]
            history = pd.concat(side_by_side(train_and_save, jobs, workers))
            if len(history):
                write_csv(out / "history.csv", history)
    last = f", loss {history['loss'].iloc[-1]:.4f}" if len(history) else ""
    return f"train: {method} on {dataset} at {bits} bits, {repeats} seed(s){last}"


if __name__ == "__main__":
    run(train_cell, "dataset", "method", "bits")

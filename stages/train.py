"""Train one method at one code length, once for each seed."""

import pandas as pd
import torch

from chain.features.store import FeatureStore
from chain.files import replacing, write_csv
from chain.methods import method_class, method_config
from chain.params import parse
from chain.runtime import RuntimeConfig, set_up
from chain.scratch import scratch_folder
from chain.training.loop import build, train
from stages.common import ARTIFACTS, parameters, run


def train_cell(dataset: str, method: str, bits: int) -> str:
    shared, own, published, seed, repeats, runtime = parameters(
        f"data.{dataset}.methods.all",
        f"data.{dataset}.methods.{method}",
        f"methods.{method}",
        "seed",
        "repeats",
        "runtime",
    )
    config = method_config(method, published, shared, own)
    device = set_up(parse(RuntimeConfig, runtime, "runtime"))
    features = ARTIFACTS / "features" / dataset
    store = FeatureStore.open(features)
    cell = f"{method}_{bits}"
    key = config.model_dump() | {"threads": torch.get_num_threads()}
    inputs = sorted(features.glob("*.npy"))
    histories = []
    with (
        scratch_folder(f"train-{dataset}-{cell}", key, inputs) as scratch,
        replacing(ARTIFACTS / "models" / dataset / cell) as out,
    ):
        out.mkdir()
        for number in range(seed, seed + repeats):
            model = build(method_class(method), config, store, bits, number)
            histories.append(train(model, store, number, device, scratch).assign(seed=number))
            torch.save(model.cpu().state_dict(), out / f"seed_{number}.pt")
        history = pd.concat(histories)
        if len(history):
            write_csv(out / "history.csv", history)
    last = f", loss {history['loss'].iloc[-1]:.4f}" if len(history) else ""
    return f"train: {method} on {dataset} at {bits} bits, {repeats} seed(s){last}"


if __name__ == "__main__":
    run(train_cell, "dataset", "method", "bits")

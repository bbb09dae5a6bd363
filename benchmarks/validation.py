"""mAP@20 of changed parameters on validation queries, which are no test queries.

Parameters are chosen by this command; the pipeline's own tables use the test queries. It reads the
features that `dvc repro features` wrote, and trains in memory:

    python -m benchmarks.validation demo chain
    python -m benchmarks.validation demo chain --change weights.order=0 --change training.lr=0.001

The validation queries are drawn by the hashes of the clips' names:

* Where the database is not trained on, a third of it is queries against the rest.
* Where it is, the clips of a quarter of the sources are queries against those of the others, on
  which alone the method trains. A clip is its own source unless `--sources`, a CSV with the columns
  path and source, says otherwise.
"""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML

from chain.analysis.ablation import encode_and_evaluate
from chain.core.params import PARAMS, load, merge, profile_path
from chain.core.processes import side_by_side
from chain.datasets.manifest import Roles, select
from chain.methods import method_class
from chain.pipeline.layers import Layer, Layers
from chain.pipeline.recipes import UNCHANGED, Recipe
from chain.training.loop import build, train
from chain.views.store import FeatureStore

FEATURES = Path("artifacts/features")
HELD_OUT = "validation"
K = 20


def hold_out(
    store: FeatureStore, roles: Roles, sources: Mapping[str, str]
) -> tuple[FeatureStore, Roles]:
    """The store without its test queries' role: some of the database become validation queries."""
    rows = select(store.index, roles.database or roles.train)
    learned = np.isin(rows, store.train)
    share = 4 if learned.all() else 3
    names = [sources.get(name, name) for name in store.index["id"].iloc[rows]]
    digests = [int(hashlib.sha256(name.encode()).hexdigest(), 16) for name in names]
    held = rows[np.array([digest % share == 0 for digest in digests])]
    index = store.index.copy()
    index.loc[held, "split"] = HELD_OUT
    kept = ~np.isin(store.train, held)
    banks = {kind: bank[np.flatnonzero(kept)] for kind, bank in store.banks.items()}
    store = replace(store, index=index, train=store.train[kept], banks=banks)
    return store, roles.model_copy(update={"query": HELD_OUT})


def score(dataset: str, recipe: Recipe, bits: int, seed: int, sources: dict[str, str]) -> float:
    """Strict mAP@20 of one training."""
    torch.set_num_threads(1)
    roles = Roles.model_validate(load(profile_path(dataset)).get("roles", {}))
    store, roles = hold_out(FeatureStore.open(FEATURES / dataset), roles, sources)
    config = recipe.configs(len(store.train))[UNCHANGED]
    method, device = method_class(recipe.method), torch.device("cpu")
    model = build(method, config, store, bits, seed)
    with TemporaryDirectory() as scratch:
        train(model, store, seed, device, Path(scratch))
    scores = encode_and_evaluate(model, store, roles, [K], device)["map"]
    return float(scores["map_strict"].iloc[0])


def changed(dataset: str, method: str, changes: Sequence[str]) -> Recipe:
    """A method's parameters on a data set, with `changes` such as `weights.order=0.5`."""
    tree: dict[str, Any] = {}
    for change in changes:
        keys, _, text = change.partition("=")
        value = YAML(typ="safe").load(text)
        for key in reversed(keys.split(".")):
            value = {key: value}
        tree = merge(tree, value)
    file = profile_path(dataset)
    layers = Layers(load(PARAMS)["methods"], load(file).get("methods", {}), file)
    layer = Layer(tree, "--change")
    parameters = layers.config(method, layer).model_dump()
    fits = {UNCHANGED: layers.fits(method, layer)}
    return Recipe(method=method, variants={UNCHANGED: parameters}, code={}, fit=fits)


def read_sources(path: Path) -> dict[str, str]:
    """The source of each clip, by the clip's id, from a CSV with the columns path and source."""
    table = pd.read_csv(path, dtype=str)
    ids = (str(PurePosixPath(name).with_suffix("")) for name in table["path"])
    return dict(zip(ids, table["source"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("method")
    parser.add_argument("--change", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sources", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    recipe = changed(options.dataset, options.method, options.change)
    sources = read_sources(options.sources) if options.sources else {}
    jobs = [(options.dataset, recipe, options.bits, seed, sources) for seed in range(options.seeds)]
    scores = side_by_side(score, jobs, options.workers)
    spread = f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else ""
    print(f"mAP@{K} on validation queries: {np.mean(scores):.3f}{spread} ({len(scores)} seeds)")


if __name__ == "__main__":
    main()

"""Encoding and search time of every trained method, beside the counts of `metrics/cost.md`.

Seconds are not the same twice, so they are no output of the pipeline. Needs the artifacts of a
`dvc repro`. Encoding is that of all clips from their features, in batches, on one thread. Search is
the top 100 of one query at a time in the database, or all of a smaller one. Methods take turns, and
the median of the rounds counts; ratios are to LSH, the cheapest.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from chain.core import params
from chain.core.params import PARAMS
from chain.datasets.manifest import Roles, select
from chain.methods.saved_models import load_method
from chain.retrieval.codes import load_codes
from chain.retrieval.hamming import nearest
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parsed

ROUNDS, BITS, TOP = 7, 64, 100
BATCH = 256


def encoder(tree: dict[str, Any], dataset: str, method: str) -> tuple[Callable[[], None], int]:
    """Encodes every clip once when called; and how many there are."""
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    weights = ARTIFACTS / "models" / dataset / f"{method}_{BITS}" / f"seed_{tree['seed']}.pt"
    model = load_method(weights).eval()
    features = torch.from_numpy(store.clean[:, store.encoded_frames(model.frames)]).float()

    @torch.inference_mode()
    def encode() -> None:
        for batch in torch.split(features, BATCH):
            model.encode(batch)

    return encode, len(features)


def searcher(tree: dict[str, Any], dataset: str, method: str) -> tuple[Callable[[], None], int]:
    """Searches for every query, one at a time; and how many there are."""
    roles = parsed(Roles, "roles", dataset)
    index = FeatureStore.open(ARTIFACTS / "features" / dataset).index
    folder = ARTIFACTS / "codes" / dataset / f"{method}_{BITS}"
    codes = load_codes(folder, tree["seed"], index, BITS).codes
    queries, database = (codes[select(index, split)] for split in (roles.query, roles.database))

    def search() -> None:
        for query in queries:
            nearest(query[None], database, min(TOP, len(database)))

    return search, len(queries)


def main() -> None:
    torch.set_num_threads(1)
    tree = params.load(PARAMS)
    dataset, methods = tree["datasets"][0], tree["grid"]["methods"]
    work = {
        (task, method): make(tree, dataset, method)
        for task, make in (("encode", encoder), ("search", searcher))
        for method in methods
    }
    seconds: dict[tuple[str, str], list[float]] = {place: [] for place in work}
    for _ in range(ROUNDS):
        for place, (do, count) in work.items():
            start = time.perf_counter()
            do()
            seconds[place].append((time.perf_counter() - start) / count)
    medians = {place: 1e6 * statistics.median(values) for place, values in seconds.items()}
    print(f"{dataset}, {BITS} bits, one thread, median of {ROUNDS} rounds\n")
    print("| method | encode, µs a video | × LSH | search, µs a query |\n|---|--:|--:|--:|")
    for method in methods:
        encode, search = medians["encode", method], medians["search", method]
        ratio = encode / medians["encode", "lsh"] if "lsh" in methods else float("nan")
        print(f"| {method} | {encode:.0f} | {ratio:.1f} | {search:.0f} |")


if __name__ == "__main__":
    main()

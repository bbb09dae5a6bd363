"""The search index against a bare FAISS flat scan, at growing numbers of 64-bit codes.

The codes are synthetic: a thousand to a cluster, an eighth of the bits flipped at random; queries
are drawn alike, and run on one thread. Every row is measured in a process of its own, so that its
peak memory is its own; compare ratios of one run only. `bare` is FAISS alone, `flat` the same
through chain.search. recall@10 is the share of the ten answers that are no farther than the true
tenth, since many are at the same distance. SETTINGS are the defaults of `params.yaml`. The graph of
HNSW takes an hour to build above a million codes, and is left out there.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import faiss
import numpy as np
from numpy.typing import NDArray

from chain.core.params import parse
from chain.search.index import KINDS, SearchConfig, build, search

BITS, TO_A_CLUSTER = 64, 1000
K, QUERIES, SINGLE = 10, 1000, 200
HNSW_UP_TO = 1_000_000
SETTINGS = {
    "hnsw": {"links": 32, "breadth": 64},
    "ivf": {"lists": 1024, "probes": 32},
    "multihash": {"tables": 4, "flips": 2},
}
WAYS = ["bare", "flat", *KINDS]


def clustered(count: int, clusters: int, seed: int) -> NDArray[np.uint8]:
    """Codes (count, 8) around `clusters` centres, which are the same for every seed."""
    random = np.random.default_rng(seed)
    codes = np.random.default_rng(0).integers(0, 2**BITS, clusters, dtype=np.uint64)
    codes = codes[random.integers(0, clusters, count)]
    flips = random.integers(0, 2**BITS, count, dtype=np.uint64)
    for _ in range(2):  # each bit of three random words at once: an eighth of them
        flips &= random.integers(0, 2**BITS, count, dtype=np.uint64)
    return (codes ^ flips).view(np.uint8).reshape(count, BITS // 8)


def settings(way: str) -> SearchConfig:
    """Those of an approximate kind, or of a flat index."""
    flat = way not in KINDS
    chosen = {"kind": "ivf" if flat else way, "flat_up_to": sys.maxsize if flat else 0}
    return parse(SearchConfig, SETTINGS | chosen, "search")


def run_one(way: str, count: int) -> dict[str, float]:
    """Build and search one index; what it took."""
    clusters = max(count // TO_A_CLUSTER, 1)
    codes, queries = clustered(count, clusters, 1), clustered(QUERIES, clusters, 2)
    start = time.perf_counter()
    index = build(codes, settings(way))
    built = time.perf_counter() - start

    def ask(some: NDArray[np.uint8]) -> tuple[float, NDArray[np.int32]]:
        start = time.perf_counter()
        distances, _ = index.search(some, K) if way == "bare" else search(index, some, K)
        return time.perf_counter() - start, distances

    faiss.omp_set_num_threads(1)  # else a busy core makes all the others wait
    single = [ask(queries[[row]])[0] for row in range(SINGLE)]
    batch, distances = ask(queries)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    flat = faiss.IndexBinaryFlat(BITS)
    flat.add(codes)
    true, _ = flat.search(queries, K)
    return {
        "build": built,
        "ms": 1000 * float(np.median(single)),
        "per_second": QUERIES / batch,
        "recall": float((distances <= true[:, -1:]).mean()),
        "peak": peak,
    }


def measure(way: str, count: int) -> dict[str, float]:
    """`run_one` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.search", "--one", way, str(count)]
    measured: dict[str, float] = json.loads(subprocess.check_output(command, text=True))
    return measured


def ratios() -> dict[str, float]:
    """How many times as fast as a bare flat scan a query is, in few codes."""
    found = {way: measure(way, 100_000)["ms"] for way in ("bare", "flat", "ivf")}
    return {way: found["bare"] / found[way] for way in ("flat", "ivf")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--codes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one[0], int(options.one[1]))))
        return
    print("| codes | index | build s | ms a query | × bare | queries/s | recall@10 | peak MB |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|")
    for count in options.codes:
        bare = measure("bare", count)
        for way in WAYS:
            if way == "hnsw" and count > HNSW_UP_TO:
                continue
            got = bare if way == "bare" else measure(way, count)
            print(
                f"| {count:,} | {way} | {got['build']:.1f} | {got['ms']:.3f} "
                f"| {got['ms'] / bare['ms']:.2f} | {got['per_second']:,.0f} "
                f"| {got['recall']:.3f} | {got['peak']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""The evaluation against how it is usually done, against a bare popcount pass and against FAISS.

N codes are queries to themselves; 239 categories, as FCVID has. One thread, and processor seconds,
which other jobs on the machine hardly touch; every row in a process of its own, so that its peak
memory is its own.

* `ours`: both protocols, mAP at seven K, and both precision-recall curves.
* `ours, mAP@K`: the legacy protocol alone, which needs a top 100; `FAISS` is its flat binary index
  finding the same hundred.
* `ours, radius`: precision and recall at every radius alone; `popcount` looks at every distance
  once and keeps nothing.
* `usual`: the legacy protocol as papers ship it: float distance matrix, argsort, product of the
  integer labels, a Python loop over queries and ranks. Every one of its parts goes query by query,
  so that above 10,000 items it is timed on `--sample` queries and multiplied; its memory would be
  tens of gigabytes there.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from chain.retrieval.codes import Codes, take, unpack, words
from chain.retrieval.evaluate import evaluate
from chain.retrieval.hamming import compare, nearest
from chain.retrieval.metrics import average_precision_ssvh, precision_recall_by_radius
from chain.retrieval.relevance import Relevance

CATEGORIES = 239
SHARED = 0.001  # probability that an item has a given category besides its first
TOPK = (5, 10, 20, 40, 60, 80, 100)
WHOLE_UP_TO = 10_000  # items
ROUNDS, LONG = 5, 5.0  # the median of some rounds; none after so many seconds

Labels = NDArray[np.bool_]
Way = Callable[[Codes, Codes, Labels, Labels], object]


def example(count: int, bits: int) -> tuple[Codes, Labels]:
    """Codes of `count` items around the centres of their first categories, and multi-hot labels."""
    random = np.random.default_rng(0)
    first = random.integers(0, CATEGORIES, count)
    centres = random.integers(0, 2, (CATEGORIES, bits), dtype=np.uint8)
    flips = random.random((count, bits)) < 0.25
    labels = random.random((count, CATEGORIES)) < SHARED
    labels[np.arange(count), first] = True
    ids = np.array([f"{number:07d}" for number in range(count)])
    return Codes(ids, np.packbits(centres[first] ^ flips, axis=1)), labels


def ours(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    return evaluate(queries, database, asked, held, TOPK)


def ours_map(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    indices, _ = nearest(queries.codes, database.codes, max(TOPK))
    ranked = Relevance(asked, held).of(indices)
    return [average_precision_ssvh(ranked, k).mean() for k in TOPK]


def ours_radius(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    nobody = np.full(len(queries.ids), -1)
    items, relevant, _ = compare(queries.codes, database.codes, Relevance(asked, held), nobody, 1)
    return precision_recall_by_radius(items, relevant)


def usual(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    signs, theirs = (unpack(codes.codes).astype(np.float32) for codes in (queries, database))
    order = np.argsort(0.5 * (queries.bits - signs @ theirs.T), axis=1)
    relevant = asked.astype(int) @ held.astype(int).T > 0
    found = []
    for k in TOPK:
        total = 0.0
        for query, ranking in enumerate(order[:, :k]):
            hits = 0
            for rank, hit in enumerate(relevant[query, ranking], start=1):
                if hit:
                    hits += 1
                    total += hits / rank / k
        found.append(total / len(order))
    return found


def popcount(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    packed = words(database.codes)  # (W, N)
    for query in words(queries.codes).T:
        for theirs, one in zip(packed, query, strict=True):
            np.bitwise_count(theirs ^ one)
    return None


def faiss_top(queries: Codes, database: Codes, asked: Labels, held: Labels) -> object:
    index = faiss.IndexBinaryFlat(database.bits)
    index.add(database.codes)
    return index.search(queries.codes, max(TOPK))


WAYS: dict[str, Way] = {
    "ours": ours,
    "usual": usual,
    "ours, mAP@K": ours_map,
    "FAISS": faiss_top,
    "ours, radius": ours_radius,
    "popcount": popcount,
}


def run_one(way: str, count: int, bits: int, queries: int) -> tuple[float, float]:
    """Processor seconds, and MiB at most, of one way."""
    faiss.omp_set_num_threads(1)
    codes, labels = example(count, bits)
    asked = take(codes, np.arange(queries))
    taken: list[float] = []
    while len(taken) < ROUNDS and sum(taken) < LONG:
        start = time.process_time()
        WAYS[way](asked, codes, labels[:queries], labels)
        taken.append(time.process_time() - start)
    status = Path("/proc/self/status").read_text()
    return statistics.median(taken), int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(count: int, bits: int, sample: int) -> dict[str, tuple[float, float]]:
    """Of each way, seconds for all queries, and peak MiB."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = {}
    for way in WAYS:
        queries = min(count, sample) if way == "usual" and count > WHOLE_UP_TO else count
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            seconds, peak = pool.submit(run_one, way, count, bits, queries).result()
        found[way] = seconds * count / queries, peak
    return found


def ratios() -> dict[str, float]:
    """How many times as fast as its rival each of ours is, on few items."""
    found = {way: seconds for way, (seconds, _) in measure(4000, 64, 4000).items()}
    return {
        "against usual": found["usual"] / found["ours"],
        "top 100 against FAISS": found["FAISS"] / found["ours, mAP@K"],
        "radius against popcount": found["popcount"] / found["ours, radius"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[4_000, 10_000, 45_600])
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--sample", type=int, default=1000, help="queries of the usual way")
    options = parser.parse_args()
    print("| items | bits | way | CPU s | × ours | peak MiB |\n|--:|--:|---|--:|--:|--:|")
    for count in options.counts:
        for bits in options.bits:
            found = measure(count, bits, options.sample)
            base = 0.0
            for way, (seconds, peak) in found.items():
                base = seconds if way.startswith("ours") else base
                ratio = f"{seconds / base:.2f}"
                print(f"| {count:,} | {bits} | {way} | {seconds:.2f} | {ratio} | {peak:,.0f} |")


if __name__ == "__main__":
    main()

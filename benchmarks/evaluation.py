"""The evaluation against how it is usually done, against a bare popcount pass and against FAISS.

Every row is measured in a process of its own, so that its peak memory is its own; compare ratios of
one run only. `usual` is the code that papers ship: float distance matrix, argsort, label product
and a Python loop over queries. It is left out where it would take minutes and tens of gigabytes.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chain.codes import Codes, unpack, words
from chain.retrieval.evaluate import evaluate

CATEGORIES = 100
TOPK = (5, 10, 20, 40, 60, 80, 100)
USUAL_LIMIT = 10_000


def example(count: int, bits: int) -> tuple[Codes, NDArray[np.bool_]]:
    """Codes of `count` items around the centres of their categories, and one-hot labels."""
    random = np.random.default_rng(0)
    label = random.integers(0, CATEGORIES, count)
    centres = random.integers(0, 2, (CATEGORIES, bits), dtype=np.uint8)
    flips = random.random((count, bits)) < 0.25
    packed = np.packbits(centres[label] ^ flips, axis=1)
    ids = np.array([f"{number:07d}" for number in range(count)])
    return Codes(ids, packed), np.eye(CATEGORIES, dtype=bool)[label]


def ours(count: int, bits: int) -> None:
    codes, labels = example(count, bits)
    evaluate(codes, codes, labels, labels, TOPK)


def usual(count: int, bits: int) -> None:
    codes, labels = example(count, bits)
    signs = unpack(codes.codes).astype(np.float32)
    distances = 0.5 * (bits - signs @ signs.T)
    order = np.argsort(distances, axis=1)
    relevant = labels.astype(np.float32) @ labels.astype(np.float32).T > 0
    for k in TOPK:
        total = 0.0
        for query in range(count):
            hits = relevant[query, order[query, :k]]
            found = 0
            for rank, hit in enumerate(hits, start=1):
                if hit:
                    found += 1
                    total += found / rank / k


def popcount(count: int, bits: int) -> None:
    """Every distance once, kept nowhere: the least that precision-recall over all pairs needs."""
    codes, _ = example(count, bits)
    packed = words(codes.codes)  # (W, N)
    for query in range(count):
        sum(np.bitwise_count(row ^ row[query]) for row in packed)


def faiss_top(count: int, bits: int) -> None:
    import faiss

    codes, _ = example(count, bits)
    index = faiss.IndexBinaryFlat(bits)
    index.add(codes.codes)
    index.search(codes.codes, max(TOPK))


def only_data(count: int, bits: int) -> None:
    """What all of them spend before they begin."""
    example(count, bits)


WAYS: dict[str, Callable[[int, int], None]] = {
    "ours": ours,
    "usual": usual,
    "popcount": popcount,
    "faiss": faiss_top,
}


def measure(way: str, count: int, bits: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one way, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.evaluation", "--one", way, str(count), str(bits)]
    seconds, peak = subprocess.check_output(command, text=True).split()
    return float(seconds), float(peak)


def run_one(way: str, count: int, bits: int) -> None:
    start = time.perf_counter()
    only_data(count, bits)
    before = time.perf_counter() - start
    start = time.perf_counter()
    WAYS[way](count, bits)
    seconds = time.perf_counter() - start - before
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WAY", "COUNT", "BITS"), help=argparse.SUPPRESS)
    parser.add_argument("--counts", type=int, nargs="+", default=[4_000, 10_000, 45_600])
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 64])
    options = parser.parse_args()
    if options.one:
        run_one(options.one[0], int(options.one[1]), int(options.one[2]))
        return
    print("| items | bits | way | seconds | × ours | peak MB |\n|--:|--:|---|--:|--:|--:|")
    for count in options.counts:
        for bits in options.bits:
            base = None
            for way in WAYS:
                if way == "usual" and count > USUAL_LIMIT:
                    continue
                seconds, peak = measure(way, count, bits)
                base = base or seconds
                ratio = seconds / base
                print(f"| {count:,} | {bits} | {way} | {seconds:.2f} | {ratio:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()

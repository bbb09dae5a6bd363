"""The collection at growing numbers of segments: latency, disk, and how fast clips are added.

* The codes are random, 64 bits long, and each video has a whole code and nine segments. Queries
  are stored codes with an eighth of their bits flipped. Each count is measured in a process of its
  own, in a folder that is removed afterwards. Times are those of the processor.
* `load`: reading all codes into memory, once a process. `faiss`: the 200 nearest of one code, over
  the codes in memory. `search`: the whole answer to a query of ten codes, with ranking and paths.
* `lance`: the same 200 by LanceDB, without an index and with its IVF index, and the share of the
  true ones that the index finds. `build` is the time that the index takes.
* `--clips FOLDER --hasher FOLDER` measures instead how many clips a second are added.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from lancedb.index import IvfFlat
from numpy.typing import NDArray

from chain.collection import Collection
from chain.collection.calibration import Chance
from chain.collection.matching import NEAREST, Chances, match, nearest
from chain.collection.segments import Segments
from chain.collection.tables import VIDEOS, Tables, create, segments_schema

BITS, EACH, QUERIES = 64, 10, 20
AT_ONCE = 500_000  # segments a write


def fill(folder: Path, count: int) -> Tables:
    """Tables with `count` random codes."""
    create(folder, BITS)
    tables, random = Tables(folder), np.random.default_rng(0)
    for first in range(0, count, AT_ONCE):
        rows = np.arange(first, min(first + AT_ONCE, count))
        video, part = rows // EACH, rows % EACH
        ids = pa.array([f"{one:032x}" for one in np.unique(video)])
        codes = random.integers(0, 256, (len(rows), BITS // 8), dtype=np.uint8)
        start = (2.0 * np.maximum(part - 1, 0)).astype(np.float32)
        columns = {
            "id": ids.take(pa.array(video - video[0])),
            "start": start,
            "end": np.where(part == 0, 20, start + 4).astype(np.float32),
            "whole": part == 0,
            "code": pa.FixedSizeListArray.from_arrays(pa.array(codes.ravel()), BITS // 8),
        }
        tables.segments.add(pa.table(columns, schema=segments_schema(BITS)))
        blank = {
            "size": 0,
            "mtime_ns": 0,
            "duration": 20.0,
            "times": [],
            "frames": b"",
            "strip": b"",
        }
        videos = [{"path": f"/{id}.mp4", "id": id, **blank} for id in ids.to_pylist()]
        tables.videos.add(pa.Table.from_pylist(videos, schema=VIDEOS))
    tables.compact()
    return tables


def flipped(codes: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Codes with an eighth of their bits flipped."""
    masks = random.integers(0, 256, (3, *codes.shape), dtype=np.uint8)
    flips: NDArray[np.uint8] = masks[0] & masks[1] & masks[2]
    return codes ^ flips


def median_ms(action: Callable[[int], Any]) -> float:
    """The median processor time of QUERIES calls, in milliseconds."""
    seconds = []
    for number in range(QUERIES):
        start = time.process_time()
        action(number)
        seconds.append(time.process_time() - start)
    return 1000 * float(np.median(seconds))


def by_lance(table: Any, code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The distances of the NEAREST codes, by LanceDB."""
    query = table.search(code, vector_column_name="code").distance_type("hamming")
    found: NDArray[np.float32] = (
        query.limit(NEAREST).select(["_distance"]).to_arrow()["_distance"].to_numpy()
    )
    return found


def run_one(count: int) -> dict[str, float]:
    """All of one count."""
    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = fill(folder, count)
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        start = time.process_time()
        database = tables.load()
        loaded = time.process_time() - start
        asked = random.integers(0, len(database.ids), QUERIES)
        queries = [database.of(int(place)) for place in asked]
        codes = [flipped(one.codes, random) for one in queries]
        some = Chance.fit(database.codes, database.owner)

        def whole_answer(number: int) -> None:
            one = queries[number]
            query = Segments(one.ids, one.owner, one.start, one.end, one.whole, codes[number])
            found = match(query, database, Chances(some, some, len(database.ids)), 2.0, 10)
            ids = database.ids[found["video"][:10]].tolist()
            tables.rows_of(tables.videos, ["path", "id", "duration"], "id", ids)

        answer = {
            "mib": disk / 2**20,
            "load": loaded,
            "faiss": median_ms(lambda n: nearest(codes[n][:1], database.codes, NEAREST)),
            "search": median_ms(whole_answer),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "scan": median_ms(lambda n: by_lance(tables.segments, codes[n][0])),
        }
        true = [by_lance(tables.segments, code[0]) for code in codes]
        start = time.process_time()
        tables.segments.create_index("code", config=IvfFlat(distance_type="hamming"))
        answer["build"] = time.process_time() - start
        answer["ivf"] = median_ms(lambda n: by_lance(tables.segments, codes[n][0]))
        found = [by_lance(tables.segments, code[0]) for code in codes]
        shares = [(b <= a.max()).mean() for a, b in zip(true, found, strict=True)]
        return answer | {"recall": float(np.mean(shares))}


def measure_adding(clips: Path, hasher: Path, workers: int) -> None:
    """Add a folder to a new collection."""
    with tempfile.TemporaryDirectory() as name:
        collection = Collection.create(Path(name) / "collection", hasher)
        collection.coder  # noqa: B018  # the networks are loaded before the clock starts
        start, cpu = time.perf_counter(), time.process_time()
        report = collection.add([clips], workers=workers)
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        status = collection.status()
        print("| clips | workers | seconds | clips/s | CPU s a clip | codes | MiB |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        print(
            f"| {report.new} | {workers} | {seconds:.1f} | {report.new / seconds:.1f} "
            f"| {used / report.new:.3f} | {status.codes} | {status.bytes / 2**20:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    sizes = [10_000, 100_000, 1_000_000, 10_000_000]
    parser.add_argument("--segments", type=int, nargs="+", default=sizes)
    parser.add_argument("--clips", type=Path, help="measure how fast these clips are added")
    parser.add_argument("--hasher", type=Path, default=Path("artifacts/hasher"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one)))
        return
    if options.clips:
        measure_adding(options.clips, options.hasher, options.workers)
        return
    print(
        "| segments | disk MiB | load s | faiss ms | search ms | peak MiB "
        "| lance scan ms | lance IVF ms | its recall | its build s |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for count in options.segments:
        command = [sys.executable, "-m", "benchmarks.collection", "--one", str(count)]
        got = json.loads(subprocess.check_output(command, text=True))
        print(
            f"| {count:,} | {got['mib']:.1f} | {got['load']:.2f} | {got['faiss']:.2f} "
            f"| {got['search']:.1f} | {got['peak']:.0f} | {got['scan']:.1f} | {got['ivf']:.1f} "
            f"| {got['recall']:.3f} | {got['build']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

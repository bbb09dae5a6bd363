"""The exported hasher by torch and by ONNX Runtime: speed, size, and what int8 costs.

Needs the artifacts of a `dvc repro` and `requirements-onnx.txt`. All ways code the queries and the
database of the first data set. The columns:

* `frames/s 1` and `2`: frames that the CNN sees, a second, on one and on two threads.
* `ms a clip`: from a video file to its code, on one thread.
* `MB`: the files that the way needs.
* `bits flipped`: share of bits that differ from the pipeline's codes.
* `mAP@20 lost`: strict, against the pipeline's codes.

Torch's CNN sees all stored frames, as in the pipeline; ONNX Runtime's sees those that the method
encodes, or fewer. The ways take turns, and the median of the rounds counts. Table and figure are
written as `benchmarks.common.publish` says.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.common import Way, Work, alternate, publish
from chain.datasets.manifest import Roles, label_matrix, read_index, read_manifest, select
from chain.figures.hasher_ways import hasher_ways
from chain.hasher.coder import Coder
from chain.hasher.hasher import Hasher
from chain.hasher.onnx_export import export_onnx
from chain.hasher.onnx_hasher import OnnxHasher, Precision
from chain.results.table import Cell, Table
from chain.retrieval.codes import Codes, load_codes
from chain.retrieval.evaluate import evaluate
from stages.common import ARTIFACTS, data_root, parameters, parsed, profile
from stages.export_onnx import CALIBRATION

HASHER, K = ARTIFACTS / "hasher", 20
THREADS = (1, 2)


@dataclass(frozen=True)
class Rival:
    """A way to make codes: torch, or a graph of ONNX Runtime."""

    name: str
    folder: Path
    precision: Precision | None
    """`fp32` or `int8` of ONNX Runtime; None is torch."""

    frames: int
    """How many frames of a clip the CNN sees."""

    def load(self, threads: int) -> Coder:
        torch.set_num_threads(threads)
        if self.precision is None:
            return Hasher.load(self.folder, device="cpu")
        return OnnxHasher.load(self.folder, self.precision, threads)

    def bytes(self) -> int:
        names = [f"{self.precision}.onnx"] if self.precision else ["*.safetensors"]
        return sum(path.stat().st_size for name in names for path in self.folder.glob(name))


def worker(rival: Rival, threads: int, videos: list[Any]) -> Work:
    """Codes each of the videos."""
    hasher = rival.load(threads)
    return lambda: [hasher(video) for video in videos]


def quality(
    rival: Rival, frames: NDArray[np.uint8], codes: Codes, dataset: str
) -> tuple[float, float]:
    """The share of bits flipped, and the mAP@20 lost."""
    roles = parsed(Roles, "roles", dataset)
    index = read_index(ARTIFACTS / "frames" / dataset / "index.csv")
    labels, _ = label_matrix(index["labels"])
    rows = [select(index, split) for split in (roles.query, roles.database)]
    hasher, maps, flipped = rival.load(2), [], []
    own = codes.codes.copy()
    for row in np.unique(np.concatenate(rows)):
        own[row] = hasher(np.asarray(frames[row]))
        flipped.append(np.unpackbits(own[row] ^ codes.codes[row]).mean())
    for made in (codes.codes, own):
        sides = [Codes(codes.ids[part], made[part]) for part in rows]
        found = evaluate(sides[0], sides[1], labels[rows[0]], labels[rows[1]], [K])
        maps.append(found.map_strict[K])
    return float(np.mean(flipped)), maps[0] - maps[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clips", type=int, default=16, help="clips in a round")
    options = parser.parse_args()
    datasets: Any
    datasets, method, bits, seed = parameters("datasets", "method", "bits", "seed")
    dataset = datasets[0]
    frames = np.load(ARTIFACTS / "frames" / dataset / "frames.npy", mmap_mode="r")
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    codes = load_codes(ARTIFACTS / "codes" / dataset / f"{method}_{bits}", seed, index, bits)
    train = np.load(ARTIFACTS / "features" / dataset / "train.npy")
    calibration = frames[train[np.linspace(0, len(train) - 1, CALIBRATION).astype(int)]]
    (source,), clips = profile(dataset, "source"), ARTIFACTS / "clips" / dataset
    root = data_root(source["root"]) if "root" in source else clips
    paths = read_manifest(clips / "manifest.csv")["path"]
    files = [root / path for path in paths[: options.clips]]
    arrays = [np.array(one) for one in frames[: options.clips]]

    with tempfile.TemporaryDirectory() as name:
        hasher = Hasher.load(HASHER, device="cpu")
        stored = hasher.about.config.decode.frames
        rivals = [Rival("torch fp32", HASHER, None, stored)]
        for seen in (hasher.model.frames, max(1, hasher.model.frames // 2)):
            folder = Path(name) / str(seen)
            export_onnx(hasher, folder, calibration, seen)
            for precision in get_args(Precision):
                label = f"ONNX {precision}, {seen} frames"
                rivals.append(Rival(label, folder, precision, seen))
        ways: dict[str, Way] = {}
        for rival in rivals:
            ways |= {
                f"{rival.name} {threads}": (worker, (rival, threads, arrays)) for threads in THREADS
            }
            ways[f"{rival.name} file"] = (worker, (rival, 1, files))
        measured = alternate(ways, options.rounds)

        rows = []
        for rival in rivals:
            count = rival.frames * len(arrays)
            flipped, lost = quality(rival, frames, codes, dataset)
            speeds = {
                f"frames/s {threads}": count / measured[f"{rival.name} {threads}"].median
                for threads in THREADS
            }
            each = 1000 * measured[f"{rival.name} file"].median / len(files)
            rows.append(
                {
                    "way": rival.name,
                    **speeds,
                    "milliseconds": each,
                    "MB": rival.bytes() / 1e6,
                    "flipped": flipped,
                    "lost": lost,
                }
            )
        found = pd.DataFrame(rows)
        caption = (
            f"{dataset}, {method}, {bits} bits; {len(files)} clips a round, {options.rounds} rounds"
        )
        publish(dataset, "hasher", table(found, caption), hasher_ways(found))


def table(found: pd.DataFrame, caption: str) -> Table:
    """The rows in print."""
    formats = {
        **{f"frames/s {threads}": "{:.0f}" for threads in THREADS},
        "milliseconds": "{:.1f}",
        "MB": "{:.1f}",
        "flipped": "{:.2%}",
        "lost": "{:+.4f}",
    }
    cells = {
        column: [Cell(form.format(value)) for value in found[column]]
        for column, form in formats.items()
    }
    printed = pd.DataFrame({"way": found["way"], **cells})
    named = printed.rename(
        columns={
            "milliseconds": "ms a clip",
            "flipped": "bits flipped",
            "lost": "mAP@20 lost",
        }
    )
    return Table.of(named, caption)


if __name__ == "__main__":
    main()

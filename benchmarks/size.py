"""Time and memory at the published sizes, on synthetic data.

`training`: 45,600 clips of 25 × 4096 features (FCVID, VGG16), 9.3 GB of fp16 in a folder that is
made once; CHAIN and ConMH as `params.yaml` has them. `evaluation`: 45,600 queries against as many
items, 64 bits, 239 categories. `index`: an HDF5 file of 409,788 clips of 25 × 4096 float32 (YFCC),
168 GB long, of which nothing is written.

Every row is measured in a process of its own. `peak MiB` is the most that was resident in it at
once (VmHWM): libraries, arrays and pages of mapped files, but not the system's page cache. Other
jobs on the machine make the seconds longer, and hardly the CPU seconds.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from scipy.io import savemat
from scipy.sparse import random_array

from benchmarks.published import ROOT, published
from benchmarks.training import run_training
from chain.core import params
from chain.core.files import replacing, write_csv
from chain.core.runtime import RuntimeConfig, return_freed_memory, set_up
from chain.datasets.feature_files import ReadyConfig, SplitFiles, index_ready
from chain.datasets.manifest import write_manifest
from chain.methods import method_class
from chain.methods.base import Method
from chain.models.transformer import recompute_blocks
from chain.retrieval.codes import Codes
from chain.retrieval.evaluate import evaluate
from chain.training.encode import encode_store
from chain.views.store import FeatureStore

Work = Callable[[], object]

METHODS = ("chain", "conmh")
FRAMES, WIDTH, BITS = 25, 4096, 64
TOPK = (5, 10, 20, 40, 60, 80, 100)
SHARED = 0.01  # probability that a clip has a given category besides its first
MADE = 256  # clips at once
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Cost:
    """What one measurement took, in seconds and MiB."""

    seconds: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} | {self.cpu:.1f} | {self.peak:,.0f}"


def apart(prepare: Callable[..., Work], *arguments: Any) -> Cost:
    """The cost, in a fresh process, of the work that `prepare` returns; the peak is of both."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, prepare, arguments).result()


def _measured(prepare: Callable[..., Work], arguments: tuple[Any, ...]) -> Cost:
    work = prepare(*arguments)
    start, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    return Cost(seconds, cpu, int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def nothing() -> Work:
    """The libraries alone."""
    return lambda: None


# Training: what `params.yaml` says of a method, on a store of synthetic features


def make_features(folder: Path, clips: int) -> None:
    """A store of clips of three shots: 256 random ones, repeated and each time rolled by one
    feature. A folder that is there is left as it is.
    """
    if folder.exists():
        held = len(FeatureStore.open(folder).clean)
        if held != clips:
            sys.exit(f"error: {folder} holds {held:,} clips, not {clips:,}: name another folder")
        return
    random = np.random.default_rng(0)
    shots = random.standard_normal((MADE, 3, WIDTH), dtype=np.float32)
    shot = np.sort(random.integers(0, 3, (MADE, FRAMES)), axis=1)
    noise = random.standard_normal((MADE, FRAMES, WIDTH), dtype=np.float32)
    made = np.maximum(shots[np.arange(MADE)[:, None], shot] + noise / 2, 0).astype(np.float16)
    with replacing(folder) as temporary:
        temporary.mkdir()
        with (temporary / "clean.npy").open("wb") as file:
            shape = (clips, FRAMES, WIDTH)
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for first in range(0, clips, MADE):
                np.roll(made, first // MADE, axis=2)[: clips - first].tofile(file)
        np.save(temporary / "train.npy", np.arange(clips))
        index = pd.DataFrame({"id": np.arange(clips).astype(str), "labels": "", "split": "train"})
        write_csv(temporary / "index.csv", index)


def opened(
    folder: Path, name: str, clips: int, changes: dict[str, Any]
) -> tuple[Method, FeatureStore]:
    """A method of published size, not yet fitted, and the store with so many clips to train on.

    CHAIN sees clean features, disturbed (`feature`): there are no pixels, and so no banks.
    """
    runtime = params.load(ROOT / params.PARAMS)["runtime"]
    set_up(params.parse(RuntimeConfig, runtime, "runtime"), training=True)
    torch.manual_seed(0)
    spatial = {"spatial": "feature"} if name == "chain" else {}
    config = published(name, spatial, changes)
    store = FeatureStore.open(folder)
    train = np.sort(np.random.default_rng(0).permutation(store.train)[:clips])
    return method_class(name)(config, store.width, BITS), replace(store, train=train)


def fit(folder: Path, name: str, clips: int) -> Work:
    """What comes before the first step: of CHAIN, the scenes."""
    model, store = opened(folder, name, clips, {})
    return lambda: model.fit(store)


def draw(folder: Path, name: str, clips: int) -> Work:
    """Every batch of an epoch, as the training loop draws it, without the network."""
    model, store = opened(folder, name, clips, without_scenes(name))
    model.fit(store)
    size = batch(name)

    def work() -> None:
        order = np.random.default_rng(0).permutation(clips)
        for step in range(clips // size):
            rows = np.sort(order[step * size : (step + 1) * size])
            model.draw(store, rows, np.random.default_rng(step))

    return work


def step(folder: Path, name: str, clips: int) -> Work:
    """An epoch of the training loop."""
    model, store = opened(folder, name, clips, {"training": {"epochs": 1}})
    model.fit(store)
    return partial(run_training, model, store)


def recomputed(folder: Path, name: str, clips: int) -> Work:
    """The same with `runtime.recompute`."""
    model, store = opened(folder, name, clips, {"training": {"epochs": 1}})
    recompute_blocks(model)
    return_freed_memory()
    model.fit(store)
    return partial(run_training, model, store)


def encode(folder: Path, name: str, clips: int) -> Work:
    """Codes of the first so many clips."""
    model, store = opened(folder, name, clips, without_scenes(name))
    first = replace(store, clean=store.clean[:clips])
    return lambda: encode_store(model, first, CPU)


def without_scenes(name: str) -> dict[str, Any]:
    return {"weights": {"scene": 0.0}} if name == "chain" else {}


def batch(name: str) -> int:
    training = published(name).training
    assert training
    return training.batch


def training(options: argparse.Namespace) -> None:
    folder, clips, some = options.folder, options.clips, min(options.some, options.clips)
    make_features(folder, clips)
    print("| method | what | clips | seconds | CPU s | peak MiB | all the clips, CPU s |")
    print("|---|---|--:|--:|--:|--:|--:|")
    print(f"| none | the libraries | | {apart(nothing)} | |")
    for name in METHODS:
        learnt = options.steps * batch(name)
        tasks = [(draw, clips), (encode, some), (step, learnt), (recomputed, learnt)]
        if name == "chain":
            tasks.insert(0, (fit, some))
        for task, count in tasks:
            cost = apart(task, folder, name, count)
            whole = cost.cpu * clips / count
            print(f"| {name} | {task.__name__} | {count:,} | {cost} | {whole:,.0f} |", flush=True)


# Evaluation


def ranking(count: int, categories: int) -> Work:
    """Codes around the centres of their first categories, each a query to all of them."""
    random = np.random.default_rng(0)
    first = random.integers(0, categories, count)
    centres = random.integers(0, 2, (categories, BITS), dtype=np.uint8)
    flips = random.random((count, BITS)) < 0.25
    codes = Codes(np.arange(count).astype(str), np.packbits(centres[first] ^ flips, axis=1))
    labels = random.random((count, categories)) < SHARED
    labels[np.arange(count), first] = True
    return lambda: evaluate(codes, codes, labels, labels, TOPK)


def evaluation(options: argparse.Namespace) -> None:
    print("| queries × items | bits | categories | seconds | CPU s | peak MiB |")
    print("|--:|--:|--:|--:|--:|--:|")
    cost = apart(ranking, options.items, options.categories)
    print(f"| {options.items:,}² | {BITS} | {options.categories} | {cost} |")


# Indexing


def make_hdf5(folder: Path, clips: int, categories: int) -> None:
    """Features with room for every chunk and none written, and sparse multi-hot labels."""
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    with h5py.File(folder / "features.h5", "w") as file:
        file.create_dataset(
            "feats",
            (clips, FRAMES, WIDTH),
            np.float32,
            chunks=(64, FRAMES, WIDTH),
            dcpl=early,
            fill_time="never",
        )
    labels = random_array((clips, categories), density=2 / categories, rng=0).astype(bool)
    savemat(folder / "labels.mat", {"labels": labels.astype(float).tocsc()})


def indexing(folder: Path) -> Work:
    """From the files to the manifest on disk."""
    files = SplitFiles(features=["features.h5"], labels=["labels.mat"])
    config = ReadyConfig(root=str(folder), frames=FRAMES, width=WIDTH, splits={"train": files})
    return lambda: write_manifest(folder / "manifest.csv", index_ready(config, folder, 1))


def index(options: argparse.Namespace) -> None:
    print("| clips | file GB | seconds | CPU s | peak MiB | manifest MB |")
    print("|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_hdf5(folder, options.clips, options.categories)
        cost = apart(indexing, folder)
        length = (folder / "features.h5").stat().st_size
        written = (folder / "manifest.csv").stat().st_size
        print(f"| {options.clips:,} | {length / 1e9:.0f} | {cost} | {written / 1e6:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("training")
    command.add_argument("--folder", type=Path, required=True, help="of the features; kept")
    command.add_argument("--clips", type=int, default=45_600)
    command.add_argument("--steps", type=int, default=2, help="of each network")
    command.add_argument("--some", type=int, default=1024, help="clips to fit and to encode")
    command.set_defaults(run=training)
    command = commands.add_parser("evaluation")
    command.add_argument("--items", type=int, default=45_600)
    command.add_argument("--categories", type=int, default=239)
    command.set_defaults(run=evaluation)
    command = commands.add_parser("index")
    command.add_argument("--clips", type=int, default=409_788)
    command.add_argument("--categories", type=int, default=80)
    command.set_defaults(run=index)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

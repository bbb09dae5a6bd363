"""Clips come and go in a user's folder: `dvc repro` sees it, and computes only what is new."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sandbox import Project

from chain.backbones.networks import Backbone, BackboneConfig

CLIPS, MORE = 60, 10
BACKBONE = {"name": "squeezenet1_1", "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
PROFILE = {
    "decode": {"frames": 4, "size": 32, "max_bad": 0.0},
    "backbone": BACKBONE | {"weights": "weights.pt"},
    "bank": {"views": 2, "spatial": ["consistent"]},
    "methods": {"all": {"frames": 4, "training": {"batch": 8, "epochs": 1}}},
}
SETTINGS = {"datasets": ["clips"], "evaluation": {"topk": [3]}, "figures": {"k": 3}}


def clip(number: int) -> NDArray[np.uint8]:
    """Six frames (6, 32, 32, 3) of coarse squares that nothing else looks like."""
    coarse = np.random.default_rng(number).integers(40, 255, (3, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2).repeat(2, 0)


class Folder(Project):
    """A project with clips of its own, and what is known of each by its id."""

    def __init__(self, folder: Path, write: Callable[..., Path]) -> None:
        methods = {"grid": {"methods": ["lsh", "chain"]}, "ablations": {"tables": []}}
        super().__init__(folder, PROFILE, **SETTINGS, **methods)
        self.write = write
        torch.manual_seed(0)
        network = Backbone(BackboneConfig(**BACKBONE, weights="pretrain")).network
        torch.save(network.state_dict(), folder / "weights.pt")
        self.add(*range(CLIPS))

    def path(self, number: int) -> Path:
        return self.folder / f"data/clips/{'abc'[number % 3]}/{number}.avi"

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.write(self.path(number), clip(number))

    def repro(self) -> str:
        return self.run("dvc", "repro", "features")

    def known(self) -> dict[str, tuple[str, bytes, bytes, bytes]]:
        """Split, frames, features and views of each clip."""
        frames = np.load(self.folder / "artifacts/frames/clips/frames.npy")
        features = self.folder / "artifacts/features/clips"
        index = pd.read_csv(features / "index.csv", keep_default_na=False)
        clean, bank = np.load(features / "clean.npy"), np.load(features / "bank_consistent.npy")
        views = dict(zip(np.load(features / "train.npy").tolist(), bank, strict=True))
        return {
            row.id: (
                row.split,
                frames[number].tobytes(),
                clean[number].tobytes(),
                views[number].tobytes() if number in views else b"",
            )
            for number, row in enumerate(index.itertuples())
        }

    def outputs(self) -> dict[str, bytes]:
        files = [*self.folder.glob("artifacts/f*/clips/*")]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def codes(self) -> dict[str, bytes]:
        """The codes of each clip by the model as it is."""
        self.run(
            *("python", "-m", "stages.evaluate", "--dataset", "clips"),
            *("--method", "lsh", "--bits", "16"),
        )
        place = self.folder / "artifacts/codes/clips/lsh_16"
        ids = pd.read_csv(place / "ids.csv")["id"]
        codes = np.load(place / "seed_0.npy")
        return {name: code.tobytes() for name, code in zip(ids, codes, strict=True)}


def unchanged(before: dict, after: dict) -> bool:
    return all(after[name] == value for name, value in before.items() if name in after)


def test_clips_come_and_go(tmp_path: Path, write_clip: Callable[..., Path]) -> None:
    project = Folder(tmp_path, write_clip)
    project.repro()
    cell = ("--dataset", "clips", "--method", "lsh", "--bits", "16")
    project.run("python", "-m", "stages.train", *cell)
    first, codes = project.known(), project.codes()
    assert len(first) == CLIPS and {one[0] for one in first.values()} == {
        *("train", "database", "query")
    }
    output = project.repro()
    assert "Running stage 'listing'" in output and "Running stage 'prepare" not in output

    project.add(*range(CLIPS, CLIPS + MORE))
    output = project.repro()
    assert f"{CLIPS + MORE} clips in artifacts/frames/clips, {CLIPS} of them as decoded" in output
    assert f"features: {CLIPS} of {CLIPS + MORE} clips as computed before" in output
    more = project.known()
    assert len(more) == CLIPS + MORE and unchanged(first, more)
    assert unchanged(codes, project.codes())

    for number in range(MORE):
        project.path(number).unlink()
    output = project.repro()
    assert f"{CLIPS} clips in artifacts/frames/clips, {CLIPS} of them as decoded" in output
    assert f"features: {CLIPS} of {CLIPS} clips as computed before" in output
    less = project.known()
    assert len(less) == CLIPS and unchanged(more, less)
    assert unchanged(codes, project.codes())

    reused = project.outputs()
    project.run("rm", "-r", ".kept")
    for stage in ("prepare", "decode", "features"):
        output = project.run("python", "-m", f"stages.{stage}", "--dataset", "clips")
        assert "of them as decoded" not in output
    assert project.outputs() == reused

"""Bad data in a user's folder: one line that names the culprit, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sandbox import Project

FOLDER = {
    "datasets": ["clips"],
    "pretrain": {"steps": 1, "batch": 2, "size": 32},
    "evaluation": {"topk": [3, 6]},
    "figures": {"k": 3},
}
PROFILE = {
    "source": {"split_file": "splits.csv"},
    "decode": {"frames": 4, "size": 32, "max_bad": 0.5},
    "backbone": {"name": "mobilenet_v3_small", "weights": "pretrain", "size": 32},
    "methods": {"all": {"frames": 4, "training": {"batch": 8, "epochs": 1}}},
}


def stage(project: Project, name: str, *options: str, fails: bool = False) -> str:
    return project.run(
        "python", "-m", f"stages.{name}", "--dataset", "clips", *options, fails=fails
    )


def one_line(output: str) -> str:
    *_, last = output.rstrip("\n").split("\n")
    assert last.startswith("error: ")
    assert "Traceback" not in output
    return last


@pytest.fixture
def make(
    tmp_path: Path, write_clip: Callable[..., Path]
) -> Callable[[dict[str, str]], tuple[Project, Path]]:
    """A project whose data/clips holds clips of random frames: {path: split}."""

    def make(clips: dict[str, str], **changes: Any) -> tuple[Project, Path]:
        project = Project(tmp_path, PROFILE, **(FOLDER | changes))
        root = tmp_path / "data" / "clips"
        root.mkdir(parents=True)
        random = np.random.default_rng(0)
        for path in clips:
            write_clip(root / path, random.integers(0, 255, (6, 32, 32, 3), dtype=np.uint8))
        table = pd.DataFrame({"path": list(clips), "split": list(clips.values())})
        table.to_csv(root / "splits.csv", index=False)
        return project, root

    return make


SOUND = {
    f"{category}/{split}{number}.avi": split
    for category in ("wave", "jump")
    for split, count in (("train", 3), ("database", 3), ("query", 1))
    for number in range(count)
}


def test_empty_folder(make: Callable[..., tuple[Project, Path]]) -> None:
    project, _ = make({})
    assert "data/clips" in one_line(stage(project, "prepare", fails=True))
    assert not (project.folder / "artifacts" / "clips").exists()


def test_one_category(make: Callable[..., tuple[Project, Path]]) -> None:
    clips = {path: split for path, split in SOUND.items() if path.startswith("wave")}
    project, _ = make(clips)
    assert "wave" in one_line(stage(project, "prepare", fails=True))


def test_query_category_absent_from_the_database(
    make: Callable[..., tuple[Project, Path]],
) -> None:
    project, _ = make(SOUND | {"kick/query0.avi": "query"})
    assert "kick" in one_line(stage(project, "prepare", fails=True))


def notes(project: Project) -> list[str]:
    return project.json("artifacts/clips/clips/notes.json")


def drawing(project: Project) -> None:
    """Take the split file out of the profile, so that splits are drawn."""
    path = project.folder / "params/clips.yaml"
    path.write_text(path.read_text().replace("split_file: splits.csv", "split_file: null"))


def test_clips_without_category_beside_categories(
    make: Callable[..., tuple[Project, Path]],
) -> None:
    """Wherever the draw puts them, they are no queries, and nothing fails."""
    clips = [f"{category}/{number}.avi" for category in ("a", "b") for number in range(15)]
    project, _ = make(dict.fromkeys([*clips, *(f"loose{n}.avi" for n in range(30))], ""))
    drawing(project)
    stage(project, "prepare")
    manifest = pd.read_csv(
        project.folder / "artifacts/clips/clips/manifest.csv", keep_default_na=False
    )
    loose = manifest[manifest["labels"] == ""]["split"]
    assert "query" not in set(loose) and {"train", ""} <= set(loose)
    (note,) = [note for note in notes(project) if "without a category" in note]
    assert note.startswith(f"{(loose == '').sum()} clips ")


def test_a_flat_folder(make: Callable[..., tuple[Project, Path]]) -> None:
    project, _ = make(dict.fromkeys([f"{number}.avi" for number in range(20)], ""))
    drawing(project)
    assert "No clip has a category. The clips are trained on" in stage(project, "prepare")
    assert len(notes(project)) == 1


def test_too_few_clips_to_draw(make: Callable[..., tuple[Project, Path]]) -> None:
    project, _ = make({"a/1.avi": "", "b/1.avi": ""})
    drawing(project)
    assert one_line(stage(project, "prepare", fails=True)).endswith("in a source.split_file")


def test_folder_of_broken_files(make: Callable[..., tuple[Project, Path]]) -> None:
    project, root = make(SOUND)
    for path in SOUND:
        (root / path).write_bytes(b"not a video")
    stage(project, "prepare")
    message = one_line(stage(project, "decode", fails=True))
    assert "no clip can be decoded" in message and ".avi" in message
    assert not (project.folder / "artifacts" / "frames").exists()


def test_some_broken_files_are_reported_and_fewer_clips_than_a_batch(
    make: Callable[..., tuple[Project, Path]],
) -> None:
    project, root = make(SOUND)
    broken = ["jump/database0.avi", "wave/train0.avi"]
    for path in broken:
        (root / path).write_bytes(b"not a video")
    stage(project, "prepare")
    said = stage(project, "decode")
    assert all(path in said for path in broken)
    report = pd.read_csv(project.folder / "artifacts/frames/clips/report.csv")
    assert list(report["path"]) == broken
    stage(project, "pretrain")
    stage(project, "features")
    project.run("python", "-m", "stages.code")
    project.run("python", "-m", "stages.check")
    cell = ("--method", "chain", "--bits", "16")
    message = one_line(stage(project, "train", *cell, fails=True))
    assert "training.batch is 8" in message and "5 training clips" in message
    assert not (project.folder / "artifacts/models/clips/chain_16").exists()


def test_too_few_clips_are_noticed_before_they_are_decoded(
    make: Callable[..., tuple[Project, Path]],
) -> None:
    project, _ = make(SOUND, grid={"methods": ["chain", "lsh"]})
    for name in ("code", "check"):
        project.run("python", "-m", f"stages.{name}")
    stage(project, "prepare")
    message = one_line(stage(project, "counts", fails=True))
    assert "params/clips.yaml: methods.chain.training.batch is 8, which needs 8" in message
    assert not (project.folder / "artifacts/counted").exists()


def test_a_role_that_names_no_split(make: Callable[..., tuple[Project, Path]]) -> None:
    """Also where nothing has a category, so that nothing is evaluated."""
    clips = {path.replace("/", "_"): split for path, split in SOUND.items()}
    project, _ = make(
        {path: "train" if split == "query" else split for path, split in clips.items()}
    )
    message = one_line(stage(project, "prepare", fails=True))
    assert "roles.query: no clip is in split 'query' (splits there: database, train)" in message


def test_a_k_above_the_database_is_left_out(make: Callable[..., tuple[Project, Path]]) -> None:
    project, _ = make(
        {path: split for path, split in SOUND.items() if "database2" not in path},
        grid={"methods": ["chain", "lsh"]},
    )
    for name in ("code", "check"):
        project.run("python", "-m", f"stages.{name}")
    for name in ("prepare", "decode", "pretrain", "features"):
        stage(project, name)
    for name in ("train", "evaluate"):
        stage(project, name, "--method", "lsh", "--bits", "16")
    table = pd.read_csv(project.folder / "artifacts/evaluations/clips/lsh_16/map.csv")
    assert set(table["k"]) == {3}  # four clips in the database, so there is no K = 6

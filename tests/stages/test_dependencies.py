"""What each stage depends on, held against the files that it opened in a real `dvc repro`."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sandbox import Project

from chain.pipeline.code import INFRASTRUCTURE

CODE = "artifacts/code/stages/{}.json"
NOT_READ = {
    "listing": "artifacts/checked.json",  # it only comes first
    "prepare": "artifacts/listings/demo.json",  # it tells that the folder has changed
    "decode": "artifacts/counted/demo.json",  # it only comes first
}
WHOLE_FILES = ("check", "listing", "report")  # these read parameter files whole, the others by key
WITH_TWO_DATA_SETS = {("transfer", "artifacts/models"), ("transfer", "artifacts/recipes")}
"""What is read only if two data sets share a CNN, which the small pipeline's one can't show."""
WRITTEN_IN_PLACE = ("README.md",)  # the report replaces a block of it


def stages(project: Project) -> dict[str, Any]:
    """The stages as DVC ran them, by name: cmd, deps and outs with their paths filled in."""
    return dict(YAML(typ="safe").load((project.folder / "dvc.lock").read_text())["stages"])


def paths(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["path"] for entry in entries]


def opened(project: Project) -> dict[str, set[str]]:
    """The files of the project that each command read."""
    found: dict[str, set[str]] = {}
    for file in project.trace.iterdir():
        command, *names = file.read_text().splitlines()
        found.setdefault(command, set()).update(map(source, names))
    return found


def source(name: str) -> str:
    """The source of a compiled module, for any other file its own name."""
    compiled = re.fullmatch(r"(.*?)__pycache__/(\w+)\.cpython-\d+(\.opt-\d)?\.pyc(\.\d+)?", name)
    return f"{compiled[1]}{compiled[2]}.py" if compiled else name


def below(name: str, folders: Collection[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


def faults(
    project: Project, stage: dict[str, Any], deps: list[str], read: set[str]
) -> Iterator[str]:
    """What is missing in `deps`, which are those of `stage`, if it read these files."""
    script = re.search(r"stages\.(\w+)", stage["cmd"])
    assert script is not None
    name = script[1]
    outs = paths(stage.get("outs", []))
    if name != "code":  # which depends on all code itself
        if CODE.format(name) not in deps:
            yield f"the code of {name}"
        known = set(project.json(CODE.format(name))) | set(INFRASTRUCTURE)
        for place, key in (("recipes", "code"), ("code/methods", None)):
            for file in project.folder.glob(f"artifacts/{place}/**/*.json"):
                if below(file.relative_to(project.folder).as_posix(), deps):
                    content = json.loads(file.read_text())
                    known |= set(content[key] if key else content)
        yield from (path for path in read if below(path, ["chain", "stages"]) and path not in known)
    if name in NOT_READ and NOT_READ[name] not in deps:
        yield NOT_READ[name]
    by_key = "params" in stage and name not in WHOLE_FILES
    tracked = ["params.yaml", "params"] if by_key else []
    ours = [*deps, *outs, *tracked, ".scratch", ".kept", *WRITTEN_IN_PLACE]
    if name != "code":
        ours += ["chain", "stages"]
    yield from (path for path in read if not below(path, ours) and ".partial" not in path)


def test_every_file_that_a_stage_reads_is_below_a_dependency(project: Project) -> None:
    read = opened(project)
    for name, stage in stages(project).items():
        assert not list(faults(project, stage, paths(stage["deps"]), read[stage["cmd"]])), name


def test_no_dependency_can_be_removed_unnoticed(project: Project) -> None:
    read, unnoticed = opened(project), []
    for name, stage in stages(project).items():
        deps = paths(stage["deps"])
        for dep in deps:
            others = [other for other in deps if other != dep]
            if not list(faults(project, stage, others, read[stage["cmd"]])):
                unnoticed.append((name, dep))
    assert set(unnoticed) == WITH_TWO_DATA_SETS


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("chain/views/stand_in.py", {"train", "evaluate", "ablate"}),
        ("chain/datasets/manifest.py", {"evaluate", "floats", "index"}),
        ("chain/retrieval/hamming.py", {"evaluate", "ablate"}),
        ("chain/figures/style.py", {"figures", "retrieved", "ablations"}),
        ("chain/results/labels.py", {"tables", "report", "figures"}),
        ("chain/datasets/demo/categories.py", {"figures", "prepare"}),
    ],
)
def test_code_that_lists_by_hand_had_missed(
    project: Project, file: str, concerned: set[str]
) -> None:
    """Each was once no dependency of a stage whose results it changes."""
    for name in concerned:
        found = set(project.json(CODE.format(name)))
        recipes = [project.json("artifacts/recipes/demo/chain.json")["code"]]
        if name in ("train", "evaluate", "ablate"):
            found.update(*recipes)
        assert file in found, name


def test_a_method_s_code_concerns_that_method_alone(project: Project) -> None:
    file = "chain/methods/conmh.py"
    recipes = project.folder / "artifacts/recipes/demo"
    with_it = {path.stem for path in recipes.glob("*.json") if file in path.read_text()}
    assert with_it == {"conmh"}
    assert not [
        path
        for path in Path(project.folder, "artifacts/code/stages").iterdir()
        if file in path.read_text()
    ]

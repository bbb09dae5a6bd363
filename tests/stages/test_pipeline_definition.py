"""dvc.yaml against the code: what a stage reads is what DVC tracks."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from chain.core import params

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "params.yaml", *sorted(ROOT.glob("params/*.yaml"))]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
UNTRACKED = {"runtime"}


def script(stage: str) -> str:
    """The entry point of a stage: two stages may share one."""
    found = re.search(r"python -m stages\.(\w+)", STAGES[stage]["cmd"])
    assert found is not None
    return found[1]


def keys_read(stage: str) -> set[str]:
    """What an entry point reads; parameters of a data set's profile are `profile:<key>`."""
    found = set()
    for call in ast.walk(ast.parse((ROOT / "stages" / f"{script(stage)}.py").read_text())):
        name = getattr(getattr(call, "func", None), "id", "") if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call):
            continue
        if name == "parameters":
            found |= {text(key) for key in call.args}
        elif name == "profile":
            found |= {f"profile:{text(key)}" for key in call.args[1:]}
        elif name == "parsed":
            of_profile = len(call.args) > 2
            found.add(f"{'profile:' * of_profile}{text(call.args[1])}")
    return found


def text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


def keys_tracked(stage: str) -> set[str]:
    found = set()
    for entry in STAGES[stage].get("params", []):
        if isinstance(entry, str):
            found.add(entry)
        else:
            ((file, keys),) = entry.items()
            assert file in ("params/${item.dataset}.yaml", "params/${datasets[0]}.yaml")
            found |= {f"profile:{key}" for key in keys}
    return found


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"check", "listing"}))
def test_each_stage_tracks_exactly_the_parameters_that_it_reads(stage: str) -> None:
    assert keys_read(stage) - UNTRACKED == keys_tracked(stage)


@pytest.mark.parametrize("stage", ["check", "listing"])
def test_what_reads_all_parameters_runs_whenever_one_changes(stage: str) -> None:
    assert {"params.yaml", "params"} <= set(STAGES[stage]["deps"])


def test_the_library_reads_no_parameter_file() -> None:
    for path in [*ROOT.glob("chain/**/*.py")]:
        assert "load(PARAMS" not in path.read_text(), path


def test_tables_and_figures_gather_the_code_lengths_of_the_grid() -> None:
    axis = [str(bits) for bits in STAGES["train"]["matrix"]["bits"]]
    for stage in ("tables", "figures", "report"):
        lengths = re.search(r"--lengths (\S+)", STAGES[stage]["cmd"])
        assert lengths is not None
        assert lengths[1].split(",") == axis


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_entry_points_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def test_lists_are_written_in_block_style() -> None:
    """`dvc exp run -S` rewrites flow lists, which would show up as a change in git."""
    for path in FILES:
        assert "[" not in re.sub(r"#.*", "", path.read_text()), path


def test_files_that_people_read_stay_short() -> None:
    def lines(path: Path) -> int:
        return len(path.read_text().splitlines())

    assert lines(ROOT / "params.yaml") < 350
    assert all(lines(path) < 60 for path in ROOT.glob("params/*.yaml"))
    assert lines(ROOT / "dvc.lock") < 5500


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_list_can_be_emptied_by_dvc(path: Path, tmp_path: Path) -> None:
    """DVC's writer moves a comment behind a key into the list, and an empty one has no place."""
    for key, value in params.leaves(params.load(path)).items():
        if isinstance(value, list):
            copy = tmp_path / path.name
            copy.write_text(path.read_text())
            apply_overrides(copy, [f"{key}=[]"])
            assert params.leaves(params.load(copy)) == params.leaves(params.load(path)) | {key: []}

"""dvc.yaml against the code: what a stage reads is what DVC tracks."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
UNTRACKED = {"runtime"}


def script(stage: str) -> str:
    """The entry point of a stage: two stages may share one."""
    found = re.search(r"python -m stages\.(\w+)", STAGES[stage]["cmd"])
    assert found is not None
    return found[1]


def template(node: ast.expr) -> str:
    """A key as `dvc.yaml` writes it: f"data.{dataset}.decode" -> data.${dataset}.decode."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"${{{ast.unparse(part.value)}}}"
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )


def keys_read(stage: str) -> set[str]:
    tree = ast.parse((ROOT / "stages" / f"{script(stage)}.py").read_text())
    return {
        template(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "parameters"
        for argument in call.args
    }


def keys_tracked(stage: str) -> set[str]:
    return {key.replace("${item.", "${") for key in STAGES[stage].get("params", [])}


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"check"}))
def test_each_stage_tracks_exactly_the_parameters_that_it_reads(stage: str) -> None:
    assert keys_read(stage) - UNTRACKED == keys_tracked(stage)


def test_the_check_runs_whenever_a_parameter_changes() -> None:
    assert "params.yaml" in STAGES["check"]["deps"]


def test_only_the_common_module_opens_params_yaml() -> None:
    for path in [*ROOT.glob("chain/**/*.py"), *ROOT.glob("stages/*.py")]:
        opens = re.search(r"""Path\(["']params\.yaml|open\(["']params""", path.read_text())
        assert bool(opens) == (path == ROOT / "stages" / "common.py"), path


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_dependencies_exist_and_name_the_stage_itself(stage: str) -> None:
    deps = STAGES[stage]["deps"]
    assert f"stages/{script(stage)}.py" in deps
    for dep in deps:
        if not dep.startswith(("artifacts/", "metrics/", "plots/")) and "${" not in dep:
            assert (ROOT / dep).exists(), dep


def test_tables_and_figures_gather_the_code_lengths_of_the_grid() -> None:
    axis = [str(bits) for bits in STAGES["train"]["matrix"]["bits"]]
    for stage in ("tables", "figures", "report"):
        lengths = re.search(r"--lengths (\S+)", STAGES[stage]["cmd"])
        assert lengths is not None
        assert lengths[1].split(",") == axis


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_entry_points_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 80


def test_params_are_written_in_block_style() -> None:
    """`dvc exp run -S` rewrites flow lists, which would show up as a change in git."""
    text = re.sub(r"#.*", "", (ROOT / "params.yaml").read_text())
    assert "[" not in text
    assert not re.search(r"\{[^}]", text)

"""Which files a stage runs, found from its imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chain.pipeline.code import INFRASTRUCTURE, code_of, code_text, made_by

ROOT = Path(__file__).parents[2]


def write(root: Path, **files: str) -> None:
    """Files by path, `__` standing for a slash."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(
        tmp_path,
        stages__train="from chain.views.store import Store\nimport numpy as np\n",
        chain__views__store="from typing import TYPE_CHECKING\nfrom chain.core import files\n"
        "if TYPE_CHECKING:\n    from chain.video import decode\n",
        chain__core__files="def write():\n    from chain.core.late import late\n",
        chain__core__late="late = 1\n",
        chain__core__unused="unused = 1\n",
        chain__video__decode="decode = 1\n",
    )
    for package in ("chain", "chain/views", "chain/core", "chain/video"):
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "chain/views/table.csv").write_text("a,b\n")
    (tmp_path / "chain/views/templates").mkdir()
    (tmp_path / "chain/views/templates/page.html").write_text("<p>")
    (tmp_path / "chain/video/other.csv").write_text("a,b\n")
    return tmp_path


def test_imports_are_followed_everywhere_but_under_type_checking(project: Path) -> None:
    assert list(code_of(project / "stages/train.py", project)) == [
        "chain/core/__init__.py",
        "chain/core/files.py",
        "chain/core/late.py",
        "chain/views/__init__.py",
        "chain/views/store.py",
        "chain/views/table.csv",
        "chain/views/templates/page.html",
        "stages/train.py",
    ]


def test_words_do_not_count_and_code_does() -> None:
    source = '''"""A module."""

from math import pi  # the ratio


def area(radius: float) -> float:
    """Of a circle.

    It has # no comment.
    """
    text = "a # b"  # a comment
    return pi * radius**2, text


WIDTH = 3
"""Of what."""
'''
    assert code_text(source) == (
        "from math import pi\n"
        "def area(radius: float) -> float:\n"
        '    text = "a # b"\n'
        "    return pi * radius**2, text\n"
        "WIDTH = 3"
    )
    reworded = source.replace("Of a circle", "Of a disc").replace("the ratio", "π")
    assert code_text(reworded) == code_text(source)
    assert code_text(source.replace("**2", "**3")) != code_text(source)


def test_an_edit_changes_the_hash_of_its_file_alone(tmp_path: Path, project: Path) -> None:
    before = code_of(project / "stages/train.py", project)
    copy = tmp_path / "copy"
    for path in [*before, "chain/video/decode.py"]:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes((project / path).read_bytes())
    (copy / "chain/core/late.py").write_text("late = 2\n")
    after = code_of(copy / "stages/train.py", copy)
    assert {name for name in after if after[name] != before[name]} == {"chain/core/late.py"}


LOADED = """
import json, os, sys
import av, faiss, matplotlib.pyplot, pandas, scipy, sklearn.manifold, torch, torchvision  # once
for name in sys.argv[1:]:
    sys.stdout.flush()
    if not os.fork():
        __import__("stages." + name)
        files = [getattr(module, "__file__", None) for name, module in sys.modules.items()
                 if name.split(".")[0] in ("chain", "stages")]
        print(json.dumps([name, [file for file in files if file]]), flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_stage_loads_nothing_that_is_not_found() -> None:
    """The slow twin: import each stage in a process of its own, and look at what was loaded."""
    stages = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))
    output = subprocess.check_output([sys.executable, "-c", LOADED, *stages], cwd=ROOT, text=True)
    loaded = dict(map(json.loads, output.splitlines()))
    assert sorted(loaded) == stages
    for stage, files in loaded.items():
        names = {Path(file).relative_to(ROOT).as_posix() for file in files}
        found = set(code_of(ROOT / "stages" / f"{stage}.py", ROOT)) | set(INFRASTRUCTURE)
        assert names <= found, stage


def test_infrastructure_exists() -> None:
    assert all((ROOT / name).is_file() for name in INFRASTRUCTURE)


def test_chain_s_code_is_no_part_of_lsh() -> None:
    methods = ROOT / "chain/methods"
    lsh = code_of(methods / "lsh.py", ROOT)
    train = code_of(ROOT / "stages/train.py", ROOT)
    for name in ("chain/methods/chain.py", "chain/scenes/affinity_propagation.py"):
        assert name not in lsh and name not in train
        assert name in code_of(methods / "chain.py", ROOT)
        assert name in code_of(methods / "chain_plus.py", ROOT)


def test_what_a_result_is_made_by() -> None:
    made = made_by(ROOT / "chain/video/pack.py")
    assert made["code"] == code_of(ROOT / "chain/video/pack.py", ROOT)
    assert "chain/video/square.py" in made["code"]
    assert made["libraries"]["av"][0].isdigit() and made["libraries"]["torch"][0].isdigit()
    json.dumps(made)

"""The programs of docs/hasher.md, in an environment that has the package and no repository."""

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from tiny_hasher import STORED, texture, write_hasher

from chain import Hasher, OnnxHasher
from chain.hasher.frames import squares

pytest.importorskip("setuptools", minversion="77", reason="it builds the package")

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/hasher.md").read_text()
WITHOUT_TORCH = ("av", "numpy", "onnxruntime")


def program(name: str) -> str:
    """The code of docs/hasher.md behind a mark."""
    found = re.search(rf"<!-- {name}: begin -->\s*```python\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("chain", "stages"):
        shutil.copytree(ROOT / name, folder / "source" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    target = ["--target", str(folder / "installed"), str(folder / "source")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *target], check=True)
    return folder / "installed"


def run(folder: Path, *paths: Path, code: str) -> list[str]:
    """Run code in `folder`, by an environment that finds packages in `paths` alone."""
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    check = f"import chain; assert chain.__file__.startswith({str(paths[0])!r})\n"
    done = subprocess.run(
        [folder / "venv/bin/python", "-c", check + code],
        cwd=folder,
        env={"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def place(tmp_path, write_clip):
    """A folder with a hasher and two videos."""
    write_hasher(tmp_path / "hasher")
    for name in "ab":
        write_clip(tmp_path / f"videos/{name}.mp4", texture(ord(name)))
    return tmp_path


def expected(hasher: Hasher, place: Path) -> tuple[np.ndarray, int]:
    files = [place / f"videos/{name}.mp4" for name in "ab"]
    return hasher.codes(files), hasher.distance(*files)


def test_the_program(package, place):
    code = program("program")
    assert len([line for line in code.splitlines() if line]) <= 10
    site = Path(distribution("numpy").locate_file(""))
    first, distance = run(place, package, site, code=code)
    hasher = Hasher.load(place / "hasher")
    codes, apart = expected(hasher, place)
    assert first == f"{hasher.id} {codes[0].tolist()} (2, 4)"
    assert int(distance) == apart


def test_the_program_without_torch(package, place):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason="ONNX is optional: requirements-onnx.txt")
    from chain.hasher.onnx_export import export_onnx

    hasher = Hasher.load(place / "hasher", device="cpu")
    calibration = np.stack([squares(texture(n), STORED, 40) for n in range(4)])
    export_onnx(hasher, place / "onnx", calibration)
    few = place / "few"
    few.mkdir()
    for name in WITHOUT_TORCH:
        for top in {file.parts[0] for file in distribution(name).files or []} - {".."}:
            (few / top).symlink_to(distribution(name).locate_file(top))
    first, distance = run(place, package, few, code=program("onnx program"))
    assert first == f"{hasher.id} (2, 4)"
    graph = OnnxHasher.load(place / "onnx", "int8", threads=2)
    assert int(distance) == graph.distance(place / "videos/a.mp4", place / "videos/b.mp4")
    assert not (few / "torch").exists()

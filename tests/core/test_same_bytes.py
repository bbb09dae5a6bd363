"""The same bytes in every file, whichever process and whichever version of Python wrote it.

Only then do hashes that DVC recorded on one machine hold on another.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("every_output.py")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = [version for version in ("3.11", "3.12", "3.13", "3.14") if version != THIS]
PACKAGES = ("av", "faiss-cpu", "matplotlib", "numpy", "pandas", "pillow", "torch", "torchvision")
VERSIONS = f"from importlib.metadata import version; print([version(p) for p in {PACKAGES}])"


def hashes(python: str, folder: Path, hash_seed: int) -> dict[str, str]:
    """SHA-256 of every file that a process of this interpreter writes to `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)}
    subprocess.run([python, SCRIPT, folder], check=True, env=environment)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def packages(python: str) -> str:
    """The versions of the packages that write files, empty where one is not installed."""
    return subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hashes(sys.executable, tmp_path_factory.mktemp("this") / "out", 1)


def test_every_kind_of_file_is_written(expected: dict[str, str]) -> None:
    assert {Path(name).suffix for name in expected} == {
        *(".csv", ".json", ".npy", ".pt", ".png", ".faiss", ".mp4", ".sha256")
    }


def test_another_process_and_folder(tmp_path: Path, expected: dict[str, str]) -> None:
    assert hashes(sys.executable, tmp_path / "another name", 2) == expected


@pytest.mark.parametrize("version", OTHERS)
def test_another_python(version: str, tmp_path: Path, expected: dict[str, str]) -> None:
    python = shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"there is no python{version} on the PATH")
    if packages(python) != packages(sys.executable):
        pytest.skip(f"{python} lacks the packages of requirements.txt, or has other versions")
    assert hashes(python, tmp_path / "out", 1) == expected

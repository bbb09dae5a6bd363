"""What the project says of itself in several places is the same in all of them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import chain

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def pinned(file: str, heading: str = "") -> list[str]:
    """The packages of a requirements file, of those below the comment `heading` if one is given."""
    text = (ROOT / file).read_text()
    section = text.partition(heading)[2].partition("\n# ")[0] if heading else text
    return re.findall(r"^([^#\s]+)==", section, re.MULTILINE)


def test_the_version_of_the_citation_is_that_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == chain.__version__


def test_every_dependency_is_pinned_in_the_requirements() -> None:
    assert sorted(PROJECT["dependencies"]) == sorted(pinned("requirements.txt", "# The pipeline\n"))


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_every_optional_dependency_is_pinned_too(extra: str) -> None:
    assert PROJECT["optional-dependencies"][extra] == pinned(f"requirements-{extra}.txt")


def test_every_data_file_belongs_to_the_package() -> None:
    declared = {
        path
        for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    found = {
        path
        for room in ("chain", "stages")
        for path in (ROOT / room).rglob("*.*")
        if path.suffix not in (".py", ".pyc")
    }
    assert found == declared and found

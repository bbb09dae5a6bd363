"""The small pipeline, run once by DVC for all tests that look at what it left."""

from pathlib import Path

import pytest
from sandbox import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After one `dvc repro`, with what each stage read noted in the folder `trace` beside it."""
    trace = tmp_path_factory.mktemp("trace")
    project = Project(tmp_path_factory.mktemp("project"))
    project.environment = {
        "TRACE": str(trace),
        "PYTHONPATH": str(Path(__file__).parent / "tracing"),
    }
    project.run("dvc", "repro")
    project.environment = {}
    project.trace = trace
    return project

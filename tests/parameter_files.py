"""The committed parameter files as trees, and parameter files of a temporary project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from chain.core import params

ROOT = Path(__file__).parents[1]
EXPERIMENT: dict[str, Any] = params.load(ROOT / params.PARAMS)
DATASETS = sorted(path.stem for path in (ROOT / "params").glob("*.yaml"))


def profile(dataset: str) -> dict[str, Any]:
    """The committed profile of a data set."""
    return params.load(ROOT / params.profile_path(dataset))


def write_project(
    experiment: Mapping[str, Any],
    profiles: Mapping[str, Mapping[str, Any]],
    folder: Path = Path(),
) -> None:
    """Write `params.yaml` and the profiles, by data set, into a folder."""
    files = {params.PARAMS: experiment}
    files |= {params.profile_path(name): tree for name, tree in profiles.items()}
    for path, tree in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(yaml.safe_dump(dict(tree), sort_keys=False))

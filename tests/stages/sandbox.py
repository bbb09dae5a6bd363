"""A copy of the repository with small parameters, in which tests run the real commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from chain.core import params

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

SMALL = {
    "repeats": 2,
    "grid": {"methods": ["conmh", "chain", "chain_plus"]},
    "ablations": {"tables": ["tasks", "additions"]},
    "pretrain": {"steps": 2, "batch": 4, "size": 32},
    "evaluation": {"topk": [5, 20]},
}
SMALL_PROFILE = {
    "source": {"clips_per_category": 6, "size": 32},
    "decode": {"frames": 4, "size": 32},
    "backbone": {"size": 32},
    "bank": {"views": 2, "spatial": ["consistent"]},
    "methods": {"all": {"frames": 4, "training": {"epochs": 2, "batch": 16}}},
}


class Project:
    """A git repository with the project's files and its own parameters."""

    def __init__(
        self, folder: Path, profile: Mapping[str, Any] = SMALL_PROFILE, **changes: Any
    ) -> None:
        """Parameters are ours, then SMALL's, then `changes`; `profile` is of the first data set."""
        self.folder = folder
        self.trace = folder
        self.environment: dict[str, str] = {}
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listing, cwd=ROOT, text=True).split("\0"):
            generated = name.startswith(("metrics/", "plots/")) or name == "dvc.lock"
            if name and (ROOT / name).exists() and not generated:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        tree = params.merge(params.load(ROOT / "params.yaml"), SMALL, changes)
        own = f"params/{tree['datasets'][0]}.yaml"
        merged = params.merge(params.load(ROOT / own), profile)
        for name, content in {"params.yaml": tree, own: merged}.items():
            (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
        self.run("git", "init", "-q")
        self.run("git", "config", "user.name", "test")
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "small")

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command; its output and errors together. Fails unless it exits as expected."""
        environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "TQDM_DISABLE": "1",
            "CHAIN_THREADS": "1",
            **self.environment,
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

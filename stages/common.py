"""What every stage does: read its own parameters, run, and report bad input in one line."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from chain.core import params
from chain.core.errors import errors_of_one_line

ARTIFACTS, METRICS = Path("artifacts"), Path("metrics")
TABLES = ARTIFACTS / "tables"  # those of metrics/*.md, as the report reads them

P = TypeVar("P", bound=BaseModel)


def parameters(*keys: str) -> list[Any]:
    """The values at dotted keys of `params.yaml`, in order.

    A stage must list the same keys in `dvc.yaml` (a test compares them), or DVC would not re-run it
    when they change. `runtime` alone stays untracked, since it changes no result.
    """
    return _select(params.PARAMS, keys)


def profile(dataset: str, *keys: str) -> list[Any]:
    """The values at dotted keys of a data set's profile, in order, as for `parameters`."""
    return _select(params.profile_path(dataset), keys)


def parsed(schema: type[P], key: str, dataset: str | None = None) -> P:
    """The block at `key` of `params.yaml`, or of a data set's profile, checked by its schema."""
    path = params.PARAMS if dataset is None else params.profile_path(dataset)
    return params.parse(schema, _select(path, [key])[0], key, path)


def _select(path: Path, keys: Sequence[str]) -> list[Any]:
    return list(params.select(params.load(path), keys, path).values())


def data_root(root: str) -> Path:
    """Where a data set's clips lie: relative to $CHAIN_DATA, or to `data/` without it."""
    return Path(os.environ.get("CHAIN_DATA", "data")) / root


def run(stage: Callable[..., str], *options: str) -> None:
    """Call `stage` with the command line's `--option`s (bits as int) and print its summary line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for option in options:
        parser.add_argument(f"--{option}", required=True, type=int if option == "bits" else str)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = vars(parser.parse_args())
    with errors_of_one_line():
        print(stage(**arguments))

"""What every stage does: read its own parameters, run, and report bad input in one line."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain.core import params
from chain.core.errors import InputError

PARAMS = Path("params.yaml")
ARTIFACTS = Path("artifacts")
DATA_ROOT = "CHAIN_DATA"


def parameters(*keys: str) -> list[Any]:
    """The values at dotted keys of `params.yaml`, in order.

    A stage must list the same keys in `dvc.yaml` (a test compares them), or DVC would not re-run it
    when they change; `runtime` alone stays untracked, since it changes no result.
    """
    return list(params.select(params.load(PARAMS), keys, PARAMS).values())


def data_root(root: str) -> Path:
    """Where a data set's clips lie: relative to $CHAIN_DATA, or to `data/` without it."""
    return Path(os.environ.get(DATA_ROOT, "data")) / root


def run(stage: Callable[..., str], *options: str) -> None:
    """Call `stage` with the command line's `--option`s (bits as int) and print its summary line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for option in options:
        parser.add_argument(f"--{option}", required=True, type=int if option == "bits" else str)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(stage(**vars(parser.parse_args())))
    except InputError as error:
        sys.exit(f"error: {error}")

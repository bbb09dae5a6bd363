"""Files of torch tensors."""

from pathlib import Path
from typing import Any

import torch

from chain.core.errors import REPRO, reading


def save_tensors(path: Path, tensors: Any) -> None:
    """Write tensors, and what holds them; the same tensors give the same bytes.

    Given a path instead of a file, torch would write the file's name into it, and report a full
    disk as a RuntimeError.
    """
    with path.open("wb") as file:
        torch.save(tensors, file)


def load_tensors(
    path: Path, what: str, device: str | torch.device = "cpu", remedy: str = REPRO
) -> Any:
    """Read what `save_tensors` wrote. Code in the file is never run.

    Raises InputError as `reading` does, to which `what` and `remedy` are passed on.
    """
    with reading(path, what, remedy):
        return torch.load(path, map_location=device, weights_only=True)

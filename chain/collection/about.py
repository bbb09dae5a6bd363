"""What `collection.json` says of a collection."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from chain.collection.segmenting import Segmenting
from chain.core.errors import InputError
from chain.core.params import Parameters, parse

ABOUT = "collection.json"
FORMAT = 2
"""The version of the folder's format, and of how videos are cut into segments."""


class About(Parameters):
    """The content of `collection.json`."""

    format: int
    hasher: str
    """The id of the hasher that made the codes."""
    bits: Annotated[int, Field(ge=8, multiple_of=8)]
    length: float
    """Of a segment, in seconds."""
    stride: float

    @property
    def segmenting(self) -> Segmenting:
        """How long videos are cut into segments."""
        return Segmenting(self.length, self.stride)


def read_about(folder: Path) -> About:
    """Read `collection.json`. Raises InputError if it is missing, damaged or of another format."""
    tree = _read(folder)
    if tree.get("format") != FORMAT:
        found = tree.get("format")
        raise InputError(f"{folder / ABOUT}: its format is {found!r}, this version reads {FORMAT}")
    return parse(About, tree, "collection", folder / ABOUT)


def has_format(folder: Path) -> bool:
    """Whether a collection is of this format. Raises InputError if it is missing or damaged."""
    return bool(_read(folder).get("format") == FORMAT)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no such collection; `chain add` makes one") from None
    except (OSError, ValueError):
        raise InputError(f"{path}: damaged, it is no JSON") from None
    return tree if isinstance(tree, dict) else {}

"""The manifest, a table with one row for each clip of a data set, and the roles of its splits."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import InputError, reading
from chain.core.files import write_csv
from chain.core.params import Parameters

COLUMNS = ["id", "path", "bytes", "sha256", "labels", "split"]
SEPARATOR = ";"
"""What stands between the categories of a clip that has several."""


class Roles(Parameters):
    """The split that plays each role: the one of the same name, unless another is named.

    Two roles may name the same split. `database` and `query` may be null for a data set that is
    only trained on.
    """

    train: str = "train"
    database: str | None = "database"
    query: str | None = "query"


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Write the columns id, path, bytes, sha256, labels and split as CSV."""
    write_csv(path, manifest[COLUMNS])


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest as it was written: text stays text (`001`, `NA`), and nothing becomes NaN.

    Raises InputError if the file is missing or is no manifest.
    """
    return _read(path, COLUMNS)


def read_index(path: Path) -> pd.DataFrame:
    """The same as `read_manifest`, for any table of clips with at least id, labels and split."""
    return _read(path, ["id", "labels", "split"])


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    text = {name: str for name in COLUMNS if name != "bytes"}
    with reading(path, "a table of clips"):
        table = pd.read_csv(path, dtype=text, keep_default_na=False)
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}")
    if table.empty:
        raise InputError(f"{path}: lists no clip")
    repeated = table["id"][table["id"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: id {repeated.iloc[0]!r} occurs more than once")
    return table


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(manifest: pd.DataFrame) -> list[str]:
    """What decoding each clip depends on: the file's hash, and its suffix, which FFmpeg heeds."""
    paths = [Path(path) for path in manifest["path"]]
    return [hash + path.suffix for hash, path in zip(manifest["sha256"], paths, strict=True)]


def categories_of(labels: str) -> list[str]:
    """The categories in one clip's `labels`; an empty text gives none."""
    return [name for name in labels.split(SEPARATOR) if name]


def label_matrix(labels: Iterable[str]) -> tuple[NDArray[np.bool_], list[str]]:
    """A matrix (N, C) that says which clip has which category, and the C names in sorted order."""
    by_clip = [categories_of(text) for text in labels]
    names = sorted({name for categories in by_clip for name in categories})
    column = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(by_clip), len(names)), dtype=np.bool_)
    for row, categories in enumerate(by_clip):
        matrix[row, [column[name] for name in categories]] = True
    return matrix, names


def has_labels(manifest: pd.DataFrame) -> bool:
    """Whether any clip has a category; without one there is nothing to evaluate."""
    return bool(manifest["labels"].ne("").any())


def select(manifest: pd.DataFrame, split: str | None) -> NDArray[np.int64]:
    """The rows of the clips in `split`, in order; null gives none.

    Raises InputError if no clip is in the split.
    """
    rows = np.flatnonzero(manifest["split"] == split)
    if split is not None and not len(rows):
        present = ", ".join(sorted(set(manifest["split"]) - {""})) or "none"
        raise InputError(f"roles: no clip is in split {split!r} (splits there: {present})")
    return rows


def check_roles(manifest: pd.DataFrame, roles: Roles) -> None:
    """Raise InputError, before hours of training, if a role names a split without clips."""
    for role, split in roles:
        try:
            select(manifest, split)
        except InputError as error:
            raise InputError(str(error).replace("roles", f"roles.{role}", 1)) from None


def check_retrieval(manifest: pd.DataFrame, roles: Roles) -> None:
    """Check, before hours of training, that labelled clips can be evaluated by retrieval.

    Raises InputError in these cases:

    * A role names a split without clips.
    * A query has no category.
    * The database has fewer than two categories, or lacks a category of a query.
    """
    check_roles(manifest, roles)
    for role in ("database", "query"):
        if getattr(roles, role) is None:
            raise InputError(f"roles.{role}: null, but the clips have categories to evaluate with")
    queries = manifest.iloc[select(manifest, roles.query)]
    database = manifest.iloc[select(manifest, roles.database)]
    unlabelled = queries["id"][queries["labels"] == ""]
    if len(unlabelled):
        raise InputError(
            f"roles.query: {len(unlabelled)} of {len(queries)} clips in split {roles.query!r} have "
            f"no category, first {unlabelled.iloc[0]!r}"
        )
    _, there = label_matrix(database["labels"])
    if len(there) < 2:
        raise InputError(
            f"roles.database: split {roles.database!r} needs at least two categories, it has "
            f"{', '.join(there) or 'none'}"
        )
    _, asked = label_matrix(queries["labels"])
    absent = sorted(set(asked) - set(there))
    if absent:
        raise InputError(
            f"roles: category {absent[0]!r} is in split {roles.query!r} (query) but not in "
            f"{roles.database!r} (database)"
        )

"""Drawing the splits of clips so that what belongs together stays together."""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from chain.core.errors import InputError
from chain.datasets.clip_files import first_few
from chain.datasets.manifest import (
    Roles,
    categories_of,
    check_retrieval,
    has_labels,
    label_matrix,
    select,
)

log = logging.getLogger(__name__)

FLAT = (
    "No clip has a category. The clips are trained on, encoded and found by a search, but there is "
    "nothing to evaluate."
)
REMEDY = (
    "the splits were drawn by source.shares, so add clips, change the shares, or name the splits "
    "in a source.split_file"
)


def groups(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of `count` clips the first clip of its group; `pairs` (P, 2) belong together."""
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(count, count))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    of_group: NDArray[np.int64] = first[group]
    return of_group


def equal_pairs(values: Sequence[str]) -> NDArray[np.int64]:
    """Pairs of rows (P, 2) that link all equal values; the empty text equals nothing."""
    _, first, place = np.unique(values, return_index=True, return_inverse=True)
    rows = np.arange(len(values))
    again = (first[place] != rows) & (np.array(values) != "")
    pairs: NDArray[np.int64] = np.stack([first[place], rows], axis=1)[again]
    return pairs


def draw(names: Iterable[str], shares: Mapping[str, float]) -> list[str]:
    """The split of each name, which depends on that name and the shares alone.

    The hash of a name is a number between 0 and 1, and the shares, one after the other, cut that
    interval into parts. So the splits have their shares only on average.
    """
    edges = np.cumsum(list(shares.values()))[:-1]
    hashes = [hashlib.sha256(name.encode()).digest()[:8] for name in names]
    places = [int.from_bytes(one) / 2**64 for one in hashes]
    splits = list(shares)
    return [splits[part] for part in np.searchsorted(edges, places, side="right")]


def settled(manifest: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """A manifest of drawn splits, in which no query is left that cannot be evaluated.

    A query cannot if it has no category, or none that a clip of the database has. Such clips are in
    no split. The attribute `notes` tells of them, and of categories without queries. If no clip at
    all has a category, nothing is changed, and a note says what the clips are good for.

    Raises InputError if the clips cannot be trained on or evaluated, because too few were drawn.
    """
    manifest = manifest.copy()
    notes = [FLAT]
    try:
        if has_labels(manifest):
            notes = _leave_out(manifest, roles)
            check_retrieval(manifest, roles)
        else:
            for split in (roles.train, roles.database):
                select(manifest, split)
    except InputError as error:
        raise InputError(f"{error}; {REMEDY}") from None
    for note in notes:
        log.warning(note)
    manifest.attrs["notes"] = [*manifest.attrs.get("notes", []), *notes]
    return manifest


def _leave_out(manifest: pd.DataFrame, roles: Roles) -> list[str]:
    """Take queries that cannot be evaluated out of their split; returns what there is to say."""
    queries, labels = manifest["split"] == roles.query, manifest["labels"]
    there = set(label_matrix(labels[manifest["split"] == roles.database])[1])
    answered = np.array([not there.isdisjoint(categories_of(text)) for text in labels])
    loose, lonely = queries & (labels == ""), queries & (labels != "") & ~answered
    manifest.loc[loose | lonely, "split"] = ""
    notes, known = [], label_matrix(labels)[1]
    if loose.any():
        notes.append(f"{loose.sum()} clips without a category were drawn as queries and left out.")
    if lonely.any():
        names = label_matrix(labels[lonely])[1]
        notes.append(
            f"{lonely.sum()} queries are left out, because no clip of the database has their "
            f"category: {first_few(names)}."
        )
    asked = set(label_matrix(labels[manifest["split"] == roles.query])[1])
    if unasked := set(known) - asked:
        notes.append(
            f"{len(unasked)} of {len(known)} categories have no query: {first_few(unasked)}."
        )
    return notes

"""Indexes over packed codes, made with FAISS, and their files.

The flat index is exact, and quick up to about a million codes. The other kinds are quick for more
codes, but miss some neighbours. FAISS numbers codes by row, in the order in which they were added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from chain.core.errors import REPRO, InputError, reading
from chain.core.files import replacing, write_json
from chain.core.params import Parameters
from chain.datasets.manifest import file_sha256, select
from chain.retrieval.codes import Codes, check_codes, take

Count = Annotated[int, Field(ge=1)]


class HNSWConfig(Parameters):
    """The index is a navigable graph (Malkov & Yashunin, arXiv 1603.09320)."""

    links: Annotated[int, Field(ge=2)]
    """Neighbours of each code in the graph."""
    breadth: Count
    """Candidates that a search keeps; with more it finds more and takes longer."""


class IVFConfig(Parameters):
    """The index is a set of inverted lists: each code is in the list of its nearest centroid."""

    lists: Count
    probes: Count
    """Lists that a query looks into."""


class MultiHashConfig(Parameters):
    """The index has a hash table for each part of the code (Norouzi et al., CVPR 2012)."""

    tables: Count
    flips: Annotated[int, Field(ge=0)]
    """Bits in which a part may differ. All codes closer than `tables` × (`flips` + 1) are found."""


class SearchConfig(Parameters):
    """Which index is built, and how thoroughly it searches."""

    flat_up_to: Annotated[int, Field(ge=0)]
    """Up to this many codes the index is flat, whatever its `kind`."""
    kind: Literal["hnsw", "ivf", "multihash"]
    hnsw: HNSWConfig
    ivf: IVFConfig
    multihash: MultiHashConfig


class Origin(Parameters):
    """What made the codes of an index; the same has to make a query's code."""

    dataset: str
    method: str
    bits: int
    seed: int
    weights: str
    """SHA-256 of the model's weights file."""
    backbone: str
    """SHA-256 of the CNN's weights file."""


@dataclass(frozen=True, eq=False)
class Index:
    """A FAISS index over N codes, and their ids (N,)."""

    faiss: faiss.IndexBinary
    ids: NDArray[np.str_]
    origin: Origin


def _hnsw(bits: int, config: SearchConfig) -> faiss.IndexBinary:
    index = faiss.IndexBinaryHNSW(bits, config.hnsw.links)
    index.hnsw.efSearch = config.hnsw.breadth
    return index


def _ivf(bits: int, config: SearchConfig) -> faiss.IndexBinary:
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, config.ivf.lists)
    index.nprobe = config.ivf.probes
    return index


def _multihash(bits: int, config: SearchConfig) -> faiss.IndexBinary:
    tables = config.multihash.tables
    if tables > bits:
        raise InputError(f"params.yaml: search.multihash.tables: {tables} for codes of {bits} bits")
    index = faiss.IndexBinaryMultiHash(bits, tables, bits // tables)
    index.nflip = config.multihash.flips
    return index


KINDS: dict[str, Callable[[int, SearchConfig], faiss.IndexBinary]] = {
    "hnsw": _hnsw,
    "ivf": _ivf,
    "multihash": _multihash,
}


def build(codes: NDArray[np.uint8], config: SearchConfig) -> faiss.IndexBinary:
    """Build an index over packed `codes` (N, b / 8).

    The same codes give an index whose file has the same bytes. Raises InputError if there are no
    codes, or too few for the settings.
    """
    count, bits = len(codes), 8 * codes.shape[1]
    if not count:
        raise InputError("index: no codes")
    if count <= config.flat_up_to:
        index: faiss.IndexBinary = faiss.IndexBinaryFlat(bits)
    elif config.kind == "ivf" and config.ivf.lists > count:
        raise InputError(f"params.yaml: search.ivf.lists: {config.ivf.lists} for {count} codes")
    else:
        index = KINDS[config.kind](bits, config)
    index.train(codes)
    index.add(codes)
    return index


def search(
    index: faiss.IndexBinary, codes: NDArray[np.uint8], k: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find the codes nearest to `codes` (Q, b / 8); returns distances and rows (Q, min(k, N)).

    Rows at the same distance come in ascending order, and if not all of them fit, a flat index
    leaves out the last ones (the tests check that FAISS does so). An approximate index that finds
    fewer codes fills up with row -1. Raises InputError if the index is empty, the code lengths
    differ or k is below 1.
    """
    if k < 1:
        raise InputError(f"k: expected a number above 0, not {k}")
    if not index.ntotal:
        raise InputError("index: it holds no codes")
    if index.d != 8 * codes.shape[1]:
        raise InputError(
            f"index: it holds codes of {index.d} bits, the query has {8 * codes.shape[1]}"
        )
    distances, rows = index.search(codes, min(k, index.ntotal))
    return distances, rows


def database_codes(codes: Codes, clips: pd.DataFrame, split: str | None) -> Codes:
    """Return the codes of the clips in `split`, or of all clips if it is None, sorted by id.

    An index over them gives clips at the same distance in the order of their ids. Raises InputError
    if `codes` are not those of `clips`, or no clip is in the split.
    """
    check_codes(codes, clips)
    rows = np.arange(len(clips)) if split is None else select(clips, split)
    return take(codes, rows[np.argsort(codes.ids[rows])])


def origin(
    dataset: str, method: str, bits: int, seed: int, weights: Path, backbone: Path
) -> Origin:
    """Describe codes that these weights files made. Raises InputError if one is missing."""
    for path in (weights, backbone):
        if not path.is_file():
            raise InputError(f"{path}: no such file; {REPRO}")
    return Origin(
        dataset=dataset,
        method=method,
        bits=bits,
        seed=seed,
        weights=file_sha256(weights),
        backbone=file_sha256(backbone),
    )


def save(folder: Path, index: Index) -> None:
    """Write an index to a folder of its own; what the folder held before is gone."""
    with replacing(folder) as out:
        out.mkdir()
        with (out / "index.faiss").open("wb") as file:  # FAISS itself says nothing of a full disk
            file.write(faiss.serialize_index_binary(index.faiss).tobytes())
        (out / "index.sha256").write_text(file_sha256(out / "index.faiss"))
        np.save(out / "ids.npy", index.ids)
        write_json(out / "origin.json", index.origin.model_dump())


def load(folder: Path) -> Index:
    """Read what `save` wrote. Raises InputError if it is missing, damaged or empty."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such index; {REPRO}")
    with reading(folder, "an index"):
        made = Origin.model_validate_json((folder / "origin.json").read_text())
        ids = np.load(folder / "ids.npy", allow_pickle=False)
        # FAISS does not survive every damaged file, so none is given to it.
        if file_sha256(folder / "index.faiss") != (folder / "index.sha256").read_text():
            raise ValueError("index.faiss has changed")
        index: Any = faiss.read_index_binary(str(folder / "index.faiss"))
    if not index.ntotal:
        raise InputError(f"{folder}: the index holds no codes")
    if ids.shape != (index.ntotal,) or made.bits != index.d:
        raise InputError(f"{folder}: its files do not belong together; {REPRO}")
    return Index(index, ids, made)

"""Indexes over packed codes (FAISS), and their files.

The flat index is exact and quick up to about a million codes; the other kinds trade some recall
for speed beyond. FAISS numbers codes by row, in the order in which they were added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from chain.core.errors import InputError
from chain.core.files import replacing, write_json
from chain.core.params import Parameters
from chain.datasets.manifest import file_sha256, select
from chain.retrieval.codes import Codes, take

Count = Annotated[int, Field(ge=1)]
REPRO = "run `dvc repro`"


class HNSWConfig(Parameters):
    """A navigable graph (Malkov & Yashunin, arXiv 1603.09320)."""

    links: Annotated[int, Field(ge=2)]
    """Neighbours of each code in the graph."""
    breadth: Count
    """Candidates kept while searching; more find more, and cost more."""


class IVFConfig(Parameters):
    """Inverted lists: each code in the list of the nearest of some centroids."""

    lists: Count
    probes: Count
    """Lists that a query looks into."""


class MultiHashConfig(Parameters):
    """Multi-index hashing (Norouzi et al., CVPR 2012): a table for each part of the code."""

    tables: Count
    flips: Annotated[int, Field(ge=0)]
    """Bits in which a part may differ; finds all codes closer than `tables` × (`flips` + 1)."""


class SearchConfig(Parameters):
    """Which index is built, and how hard it looks."""

    flat_up_to: Annotated[int, Field(ge=0)]
    """Codes up to which the index is flat, whatever its `kind`."""
    kind: Literal["hnsw", "ivf", "multihash"]
    hnsw: HNSWConfig
    ivf: IVFConfig
    multihash: MultiHashConfig


class Origin(Parameters):
    """What the codes of an index were made with; a query's code has to be made with the same."""

    dataset: str
    method: str
    bits: int
    seed: int
    weights: str
    """SHA-256 of the model's weights file."""
    backbone: str
    """SHA-256 of the CNN's, which a pipeline that was cut short may have replaced alone."""


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
    """An index over packed `codes` (N, b / 8); the same bytes once written for the same codes.

    Raises InputError if there are no codes, or too few for the settings.
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
    """Distances and rows (Q, min(k, N)) of the codes nearest to `codes` (Q, b / 8).

    Equal distances come in ascending order of rows, and a flat index leaves out the last rows where
    not all of them fit (the tests check that FAISS does so). An approximate one fills up
    with row -1 where it finds fewer. Raises InputError if the index is empty, the code lengths
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
    """The codes of the clips in `split` (of all for null), by id: so are then equal distances.

    Raises InputError if `codes` are not those of `clips`, or no clip is in the split.
    """
    if codes.ids.tolist() != clips["id"].tolist():
        raise InputError("index: the codes are not those of the data set's clips")
    rows = np.arange(len(clips)) if split is None else select(clips, split)
    return take(codes, rows[np.argsort(codes.ids[rows])])


def origin(
    dataset: str, method: str, bits: int, seed: int, weights: Path, backbone: Path
) -> Origin:
    """What belongs to these weights files; InputError if one is missing."""
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
    """Write an index to a folder of its own, which is replaced as a whole."""
    with replacing(folder) as out:
        out.mkdir()
        faiss.write_index_binary(index.faiss, str(out / "index.faiss"))
        np.save(out / "ids.npy", index.ids)
        write_json(out / "origin.json", index.origin.model_dump())


def load(folder: Path) -> Index:
    """Read what `save` wrote; InputError if it is missing, damaged or empty."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such index; {REPRO}")
    try:
        index: Any = faiss.read_index_binary(str(folder / "index.faiss"))
        ids = np.load(folder / "ids.npy", allow_pickle=False)
        made = Origin.model_validate_json((folder / "origin.json").read_text())
    except (RuntimeError, OSError, ValueError, EOFError, ValidationError):
        raise InputError(f"{folder}: not an index, or a damaged one; {REPRO}") from None
    if not index.ntotal:
        raise InputError(f"{folder}: the index holds no codes")
    if ids.shape != (index.ntotal,) or made.bits != index.d:
        raise InputError(f"{folder}: its files do not belong together; {REPRO}")
    return Index(index, ids, made)

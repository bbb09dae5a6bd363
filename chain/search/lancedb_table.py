"""Codes in a LanceDB table, to which clips are added and from which they are deleted.

LanceDB is optional (`requirements-scale.txt`). A search can be limited to clips that meet an SQL
condition. It compares the query with every code, so it finds the same distances as a flat index. If
several clips share the k-th distance, LanceDB chooses among them.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.retrieval.codes import Codes

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.table import Table

METADATA = ["labels", "split", "path"]


def create(folder: Path, name: str, codes: Codes, clips: pd.DataFrame) -> "Table":
    """Create the table `name` in the database `folder`; an older one of that name is replaced.

    Its columns are id, METADATA and code. `clips` has a row for each id of `codes`, in any order.
    Raises InputError if one is missing, and if LanceDB is not installed.
    """
    rows = _rows(codes, clips)
    return _connect(folder).create_table(name, rows, mode="overwrite")


def open_table(folder: Path, name: str) -> "Table":
    """Open a table that `create` made. Raises InputError if there is none."""
    try:
        return _connect(folder).open_table(name)
    except ValueError:
        raise InputError(f"{folder}: no table {name!r}") from None


def add(table: "Table", codes: Codes, clips: pd.DataFrame) -> None:
    """Add clips; one whose id is there already is replaced. Raises InputError as `create` does."""
    _check_bits(table, codes.bits)
    upsert = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    upsert.execute(_rows(codes, clips))


def delete(table: "Table", ids: Sequence[str]) -> None:
    """Delete the clips `ids`; ids that are not there are ignored."""
    if ids:
        quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in ids)
        table.delete(f"id IN ({quoted})")


def nearest(
    table: "Table", code: NDArray[np.uint8], k: int, where: str | None = None
) -> pd.DataFrame:
    """Find the k clips nearest to `code` (b / 8,); returns id, METADATA and distance.

    Clips at the same distance are sorted by id. Only those count that meet the SQL condition
    `where` on the columns, for example `split = 'database' AND labels LIKE '%golf%'`. Raises
    InputError if k is below 1, the code lengths differ or the condition is not valid.
    """
    if k < 1:
        raise InputError(f"k: expected a number above 0, not {k}")
    _check_bits(table, 8 * len(code))
    query: Any = table.search(code, vector_column_name="code")
    asked = query.distance_type("hamming").limit(k)
    if where is not None:
        asked = asked.where(where, prefilter=True)
    try:
        found: pd.DataFrame = asked.select(["id", *METADATA, "_distance"]).to_pandas()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"table: {' '.join(str(error).split())}") from None
    found = found.rename(columns={"_distance": "distance"}).astype({"distance": int})
    return found.sort_values(["distance", "id"], ignore_index=True)


def _check_bits(table: "Table", given: int) -> None:
    there = 8 * table.schema.field("code").type.list_size
    if there != given:
        raise InputError(f"table: it holds codes of {there} bits, not {given}")


def _rows(codes: Codes, clips: pd.DataFrame) -> "pa.Table":
    pa = _installed("pyarrow")
    known = clips.set_index("id")
    ids = codes.ids.tolist()
    missing = [name for name in ids if name not in known.index]
    if missing:
        raise InputError(f"table: {missing[0]!r} is not among the clips")
    columns = {name: pa.array(known.loc[ids, name].astype(str)) for name in METADATA}
    packed = pa.FixedSizeListArray.from_arrays(pa.array(codes.codes.ravel()), codes.codes.shape[1])
    return pa.table({"id": pa.array(ids), **columns, "code": packed})


def _connect(folder: Path) -> "DBConnection":
    connection: DBConnection = _installed("lancedb").connect(str(folder))
    return connection


def _installed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"{module} is not installed: pip install -r requirements-scale.txt"
        ) from None

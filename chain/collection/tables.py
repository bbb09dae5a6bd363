"""The tables of a collection, and the order of writing that a kill at any moment can't harm.

* What is added: a video's segments first, its row in `videos` last.
* What is removed: the row in `videos` first, the segments last.

So segments without a video are leftovers. No reader sees them, and the next writer removes them.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chain.collection.segments import Segments
from chain.core.errors import InputError, one_line

AT_ONCE = 500  # ids or paths in a condition
KEPT = timedelta(minutes=10)
"""For so long, old versions stay for those who read meanwhile."""

VIDEOS = pa.schema(
    {
        "path": pa.string(),
        "id": pa.string(),
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
        "duration": pa.float64(),
        "times": pa.list_(pa.float32()),
        "frames": pa.binary(),
        "strip": pa.binary(),
    }
)
BROKEN = pa.schema(
    {"path": pa.string(), "size": pa.int64(), "mtime_ns": pa.int64(), "reason": pa.string()}
)
JUDGEMENTS = pa.schema({"id_a": pa.string(), "id_b": pa.string(), "verdict": pa.string()})


def segments_schema(bits: int) -> pa.Schema:
    """The columns of `segments`, whose codes have `bits` bits."""
    return pa.schema(
        {
            "id": pa.string(),
            "start": pa.float32(),
            "end": pa.float32(),
            "whole": pa.bool_(),
            "code": pa.list_(pa.uint8(), bits // 8),
        }
    )


def create(folder: Path, bits: int) -> None:
    """Create empty tables in `folder`; what they held before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    connection = lancedb.connect(folder)
    schemas = {"videos": VIDEOS, "broken": BROKEN, "judgements": JUDGEMENTS}
    for name, schema in {**schemas, "segments": segments_schema(bits)}.items():
        connection.create_table(name, schema=schema)


class Tables:
    """The four tables; each is read in its newest version."""

    def __init__(self, folder: Path) -> None:
        """Open the tables in `folder`. Raises InputError if one is missing or damaged."""
        self.folder = folder
        connection = lancedb.connect(folder, read_consistency_interval=timedelta(0))
        with self.telling():
            self.videos: Any = connection.open_table("videos")
            self.segments: Any = connection.open_table("segments")
            self.broken: Any = connection.open_table("broken")
            self.judgements: Any = connection.open_table("judgements")

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Raise InputError, one line, where LanceDB fails."""
        try:
            yield
        except InputError:
            raise
        except (ValueError, RuntimeError, OSError) as error:
            if "os error 28" in str(error) or "File too large" in str(error):
                raise InputError(f"{self.folder}: the disk is full") from None
            raise InputError(
                f"{self.folder}: damaged, or not readable: {one_line(error)}"
            ) from None

    def rows(self, table: Any, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Read columns of the rows that meet an SQL condition."""
        with self.telling():
            query = table.search()
            return (query.where(where) if where else query).select(list(columns)).to_arrow()

    def rows_of(
        self,
        table: Any,
        columns: Sequence[str],
        key: str,
        values: Collection[str],
        where: str | None = None,
    ) -> pa.Table:
        """Read columns of the rows whose `key` is one of `values`, and that meet `where`."""
        besides = f" AND ({where})" if where else ""
        parts = [self.rows(table, columns, one + besides) for one in _conditions(key, values)]
        return pa.concat_tables(parts) if parts else self.rows(table, columns, "false")

    def put(self, table: Any, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
        """Write rows; one that has the `keys` of an older row replaces it."""
        if rows:
            with self.telling():
                new = pa.Table.from_pylist(list(rows), schema=table.schema)
                upsert = table.merge_insert(list(keys))
                upsert.when_matched_update_all().when_not_matched_insert_all().execute(new)

    def append(self, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows that are not there yet."""
        if rows:
            with self.telling():
                table.add(pa.Table.from_pylist(list(rows), schema=table.schema))

    def delete(self, table: Any, key: str, values: Collection[str]) -> None:
        """Delete the rows whose `key` is one of `values`."""
        with self.telling():
            for condition in _conditions(key, values):
                table.delete(condition)

    def forget(self, paths: Collection[str]) -> None:
        """Remove videos, and the segments of those whose content has no other path."""
        ids = set(self.rows_of(self.videos, ["id"], "path", paths)["id"].to_pylist())
        self.delete(self.videos, "path", paths)
        self.drop_orphans(ids)

    def drop_orphans(self, ids: Collection[str]) -> None:
        """Remove the segments of those `ids` that no video has."""
        kept = self.rows_of(self.videos, ["id"], "id", ids)["id"].to_pylist()
        self.delete(self.segments, "id", set(ids) - set(kept))

    def remove_leftovers(self) -> None:
        """Remove segments without a video, which a writer left that broke off."""
        there = pc.unique(self.rows(self.segments, ["id"])["id"])
        known = pc.unique(self.rows(self.videos, ["id"])["id"])
        self.delete(
            self.segments, "id", there.filter(pc.invert(pc.is_in(there, known))).to_pylist()
        )

    def compact(self) -> None:
        """Merge what many small writes left, and remove old versions."""
        with self.telling():
            for table in (self.videos, self.segments, self.broken, self.judgements):
                table.optimize(cleanup_older_than=KEPT)

    def versions(self) -> tuple[int, int]:
        """What changes whenever `load` would return something else."""
        with self.telling():
            return self.videos.version, self.segments.version

    def load(self) -> Segments:
        """Read all codes, in the order of the ids and of time."""
        ids = pc.unique(self.rows(self.videos, ["id"])["id"])  # first: see the order of writing
        ids = ids.take(pc.sort_indices(ids))
        table = self.rows(self.segments, self.segments.schema.names)
        owner = pc.index_in(table["id"], value_set=ids)
        table = table.drop_columns("id").append_column("owner", owner)
        table = table.filter(pc.is_valid(owner)).combine_chunks()
        found = {name: table[name].to_numpy() for name in ("owner", "start", "end", "whole")}
        codes = table["code"].combine_chunks().flatten().to_numpy()
        bytes_a_code = self.segments.schema.field("code").type.list_size
        segments = Segments(
            np.array(ids.to_pylist(), dtype=np.str_),
            found["owner"].astype(np.int32),
            found["start"],
            found["end"],
            found["whole"],
            codes.reshape(-1, bytes_a_code),
        )
        return segments.take(np.lexsort((~segments.whole, segments.start, segments.owner)))


def _conditions(key: str, values: Collection[str]) -> Iterator[str]:
    ordered = sorted(values)
    for start in range(0, len(ordered), AT_ONCE):
        yield f"{key} IN ({', '.join(map(quoted, ordered[start : start + AT_ONCE]))})"


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"

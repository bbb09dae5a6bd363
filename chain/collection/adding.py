"""Adding files to a collection: what is new or changed is looked at, and written in batches."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from chain.collection.coded import Coded
from chain.collection.files import Stamp
from chain.collection.looking import Broken, Good, Look, Outcome
from chain.collection.tables import Tables
from chain.datasets.storable import is_storable

VIDEOS_A_COMMIT = 32
SECONDS_A_COMMIT = 20.0
CONTENT = ("duration", "times", "frames", "strip")
"""The columns of `videos` that depend on a file's content alone."""


@dataclass
class Report:
    """What `add` and `sync` did, in numbers of files."""

    new: int = 0
    """Files at paths that were not known."""
    changed: int = 0
    """Files that have another content than before."""
    moved: int = 0
    """Files with the content of a file that is gone; they keep its codes."""
    unchanged: int = 0
    removed: int = 0
    """Files that are gone and were forgotten."""
    damaged: list[str] = field(default_factory=list)
    """The path of each file that was coded by what is left of it: it is damaged or cut off."""
    broken: list[tuple[str, str]] = field(default_factory=list)
    """The path and the reason of each file that has no codes."""


def add(tables: Tables, paths: Sequence[str], look: Look, progress: bool) -> Report:
    """Bring the tables up to date with the files at `paths`; the caller holds the lock."""
    adding = _Adding(tables)
    todo = adding.todo(paths)
    shown = tqdm(total=len(todo), unit="video", disable=not (progress and todo))
    while todo:
        for batch in _batches(look(todo, adding.paths)):
            adding.write(batch)
            shown.update(len(batch))
        todo, adding.again = adding.again, []
    shown.close()
    if shown.total:
        tables.compact()
    return adding.report


def _batches(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    batch, since = list[Outcome](), time.monotonic()
    for outcome in outcomes:
        batch.append(outcome)
        if len(batch) == VIDEOS_A_COMMIT or time.monotonic() - since > SECONDS_A_COMMIT:
            yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch


class _Adding:
    """What is known of the files while some are added."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.report = tables, Report()
        self.videos = {
            row["path"]: (row["id"], _stamp(row))
            for row in tables.rows(tables.videos, ["path", "id", "size", "mtime_ns"]).to_pylist()
        }
        self.paths = dict[str, set[str]]()
        """The paths of each content."""
        for path, (id, _) in self.videos.items():
            self.paths.setdefault(id, set()).add(path)
        self.broken = {
            row["path"]: (_stamp(row), row["reason"])
            for row in tables.rows(tables.broken, tables.broken.schema.names).to_pylist()
        }
        self.again = list[str]()
        """Files that were not coded, but whose known content has been replaced since."""

    def todo(self, paths: Sequence[str]) -> list[str]:
        """List the files to look at; the others are as they were when they were looked at."""
        todo = []
        for path in paths:
            stamp = Stamp.of(path) if is_storable(path) and os.path.exists(path) else None
            if path in self.videos and self.videos[path][1] == stamp:
                self.report.unchanged += 1
            elif path in self.broken and self.broken[path][0] == stamp:
                self.report.broken.append((path, self.broken[path][1]))
            else:
                todo.append(path)
        return todo

    def write(self, batch: Sequence[Outcome]) -> None:
        """Write what looking at some files gave."""
        good = [one for one in batch if isinstance(one, Good)]
        broken = [one for one in batch if isinstance(one, Broken)]
        coded = {one.id: one.coded for one in good if one.coded and one.id not in self.paths}
        contents = {id: _content(found) for id, found in coded.items()} | self._contents(
            {one.id for one in good} - set(coded)
        )
        self.again += [one.path for one in good if one.id not in contents]
        good = [one for one in good if one.id in contents]
        self.report.damaged += [one.path for one in good if one.coded and one.coded.damaged]

        tables = self.tables
        tables.append(tables.segments, [row for id in coded for row in _segments(id, coded[id])])
        rows = [_row(one) | {"id": one.id} | contents[one.id] for one in good]
        if any(one.path in self.videos for one in good):
            tables.put(tables.videos, rows, ["path"])
        else:
            tables.append(tables.videos, rows)
        left = [path for one in good for path in self._count(one)]
        left += [one.path for one in broken if one.path in self.videos]
        tables.delete(tables.videos, "path", left)
        tables.drop_orphans(self._replaced(good, left))

        listed = [one for one in broken if is_storable(one.path)]
        tables.put(tables.broken, [_row(one) | {"reason": one.reason} for one in listed], ["path"])
        mended = [one.path for one in good if one.path in self.broken]
        tables.delete(tables.broken, "path", mended)
        self.report.broken += [(one.path, one.reason) for one in broken]

    def _contents(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What `videos` holds of contents, by id."""
        found = self.tables.rows_of(self.tables.videos, ["id", *CONTENT], "id", set(ids))
        rows = found.to_pylist()
        return {row["id"]: {name: row[name] for name in CONTENT} for row in rows}

    def _count(self, one: Good) -> list[str]:
        """Count a file in the report; returns the paths that it had before it was moved."""
        if one.path in self.videos:
            same = self.videos[one.path][0] == one.id
            self.report.unchanged += same
            self.report.changed += not same
            return []
        others = self.paths.get(one.id, set())
        gone = [path for path in sorted(others) if not os.path.exists(path)][:1]
        self.report.moved += len(gone)
        self.report.new += not gone
        return gone

    def _replaced(self, good: Iterable[Good], left: Iterable[str]) -> set[str]:
        """Note what is in the tables now; returns the ids that have lost a path."""
        lost = set[str]()
        for path in [*left, *(one.path for one in good)]:
            if path in self.videos:
                id, _ = self.videos.pop(path)
                self.paths[id].discard(path)
                lost.add(id)
        for one in good:
            self.videos[one.path] = one.id, one.stamp
            self.paths.setdefault(one.id, set()).add(one.path)
        for id in lost:
            if not self.paths[id]:
                del self.paths[id]
        return lost - set(self.paths)


def _stamp(row: Mapping[str, Any]) -> Stamp:
    return Stamp(row["size"], row["mtime_ns"])


def _row(one: Good | Broken) -> dict[str, Any]:
    return {"path": one.path, "size": one.stamp.size, "mtime_ns": one.stamp.mtime_ns}


def _content(coded: Coded) -> dict[str, Any]:
    return {
        "duration": coded.duration,
        "times": coded.times,
        "frames": coded.frames.tobytes(),
        "strip": coded.strip,
    }


def _segments(id: str, coded: Coded) -> list[dict[str, Any]]:
    return [
        {"id": id, "start": start, "end": end, "whole": row == 0, "code": code}
        for row, ((start, end), code) in enumerate(zip(coded.spans, coded.codes, strict=True))
    ]

"""The collection: files are added and removed, and videos like a video are found."""

import json
import os
import shutil
from collections.abc import Collection as Several
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.collection import tables
from chain.collection.about import ABOUT, FORMAT, About, read_about
from chain.collection.adding import Report, add
from chain.collection.calibration import Chance
from chain.collection.files import absolute, is_below, videos_at
from chain.collection.lock import writing
from chain.collection.looking import file_id, on_threads
from chain.collection.matching import PLACE, Chances, Match, match
from chain.collection.related import related
from chain.collection.segmenting import Segmenting
from chain.collection.segments import Segments
from chain.core.errors import InputError
from chain.core.files import write_json
from chain.hasher import ABOUT as HASHER_ABOUT

if TYPE_CHECKING:
    from chain.collection.coding import VideoCoder

HASHER, TABLES, LOCK = "hasher", "tables", "lock"
VERDICTS = ("copy", "not a copy")

Engine: TypeAlias = Literal["threads", "ray"]


@dataclass(frozen=True)
class Status:
    """A collection in numbers."""

    videos: int
    contents: int
    """Videos that differ in their content."""
    codes: int
    broken: int
    hours: float
    bytes: int
    """What the folder takes on the disk."""
    hasher: str
    bits: int
    length: float
    stride: float


class Collection:
    """A collection of videos in a folder."""

    def __init__(self, folder: Path, about: About) -> None:
        """Use `create` or `open`."""
        self.folder, self.bits, self.hasher_id = folder, about.bits, about.hasher
        self.segmenting = about.segmenting
        self._tables = tables.Tables(folder / TABLES)
        self._cached: tuple[tuple[int, int], Segments] | None = None
        self._chances: tuple[Segments, Chances] | None = None

    @classmethod
    def create(cls, folder: Path, hasher: Path, segmenting: Segmenting | None = None) -> Self:
        """Make an empty collection whose codes are those of the hasher in the folder `hasher`.

        Raises InputError if the hasher can't be used, or `folder` holds something else already.
        """
        from chain.hasher.folder import read_about as read_hasher

        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: a file, and a collection needs a folder")
        foreign = set(os.listdir(folder)) - {HASHER, TABLES, LOCK} if folder.is_dir() else set()
        if foreign and ABOUT not in foreign:
            raise InputError(f"{folder}: not empty, and no collection")
        about, segmenting = read_hasher(hasher), segmenting or Segmenting()
        folder.mkdir(parents=True, exist_ok=True)
        with writing(folder / LOCK):
            if (folder / ABOUT).exists():
                raise InputError(f"{folder}: there is a collection already")
            shutil.rmtree(folder / HASHER, ignore_errors=True)  # what a killed process left
            shutil.copytree(hasher, folder / HASHER)
            bits = about.config.model.bits
            tables.create(folder / TABLES, bits)
            described = About(
                format=FORMAT,
                hasher=about.id,
                bits=bits,
                length=segmenting.length,
                stride=segmenting.stride,
            )
            write_json(folder / ABOUT, described.model_dump())
        return cls(folder, described)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a collection. Raises InputError if there is none, or it is damaged, or too new."""
        return cls(folder, read_about(folder))

    @property
    def hint(self) -> str:
        """What to tell somebody who wants something of it while it is empty."""
        return f"{self.folder}: it holds no video yet; `chain add` adds some"

    def is_of(self, hasher: Path) -> bool:
        """Whether the codes are those of a hasher. Raises InputError if the folder holds none."""
        from chain.hasher.folder import parse_about

        return parse_about(hasher / HASHER_ABOUT).id == self.hasher_id

    def add(
        self,
        paths: Iterable[Path],
        progress: bool = False,
        workers: int = 2,
        engine: Engine = "threads",
    ) -> Report:
        """Add files, and the videos below folders; only what is new or changed is decoded.

        * A file whose content is known keeps its codes, wherever it is moved to.
        * A file that can't be used is listed with its reason, and tried again once it changes.
        * What was written before a kill stays, and the next call goes on from there.
        * `workers` files are decoded side by side, by threads or by actors of Ray.

        Raises InputError if there is nothing at a path, or the collection can't be written.
        """
        files = videos_at(paths)
        if engine == "ray":
            from chain.collection.by_ray import on_ray

            look = on_ray(self.folder / HASHER, self.segmenting, workers)
        else:
            look = on_threads(lambda: self.coder, workers)
        with self._writing():
            return add(self._tables, files, look, progress)

    def sync(
        self, folder: Path, progress: bool = False, workers: int = 2, engine: Engine = "threads"
    ) -> Report:
        """Do as `add` with a folder, and forget the files below it that are gone.

        Raises InputError as `add` does, or if it is no folder or one without videos, so that a disk
        that is not there forgets nothing.
        """
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: no folder; `chain add` adds files")
        try:
            files = map(Path, videos_at([folder]))
        except InputError:
            known = sum(is_below(path, [absolute(folder)]) for path in self._paths())
            if not known or not folder.is_dir():
                raise
            raise InputError(
                f"{folder}: it has no video any more, and had {known}; `chain remove` forgets "
                "them, if the right disk is mounted there"
            ) from None
        report = self.add(files, progress, workers, engine)
        below = [path for path in self._paths() if is_below(path, [absolute(folder)])]
        gone = [path for path in below if not os.path.exists(path)]
        with self._writing():
            self._tables.forget(gone)
        report.removed = len(gone)
        return report

    def remove(self, paths: Iterable[Path | str]) -> int:
        """Forget files, and all below folders; the files themselves stay. Returns how many."""
        named = [absolute(path) for path in paths]
        with self._writing():
            videos = [path for path in self._paths() if is_below(path, named)]
            self._tables.forget(videos)
            broken = self._tables.rows(self._tables.broken, ["path"])["path"].to_pylist()
            listed = [path for path in broken if is_below(path, named)]
            self._tables.delete(self._tables.broken, "path", listed)
            self._tables.compact()
        return len(videos) + len(listed)

    def status(self) -> Status:
        """Describe the collection in numbers."""
        videos, found = self.videos(), self._tables
        once = videos.drop_duplicates("id")
        return Status(
            videos=len(videos),
            contents=len(once),
            codes=len(self.codes()),
            broken=len(found.rows(found.broken, ["path"])),
            hours=float(videos["duration"].sum()) / 3600,
            bytes=sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
            hasher=self.hasher_id,
            bits=self.bits,
            length=self.segmenting.length,
            stride=self.segmenting.stride,
        )

    def videos(self, where: str | None = None) -> pd.DataFrame:
        """List the videos as path, id, size and duration, sorted by path.

        `where` is an SQL condition on these columns. Raises InputError if it is not valid.
        """
        columns = ["path", "id", "size", "duration"]
        if where is not None and not where.strip():
            raise InputError(f"where: {where!r} is no SQL condition on {', '.join(columns)}")
        try:
            rows = self._tables.rows(self._tables.videos, columns, where)
        except InputError:
            if where is None:
                raise
            self._tables.rows(self._tables.videos, columns)  # raises if the fault is not the user's
            names = ", ".join(columns)
            raise InputError(f"where: {where!r} is no SQL condition on {names}") from None
        found: pd.DataFrame = rows.to_pandas()
        return found.sort_values("path", ignore_index=True)

    def broken(self) -> pd.DataFrame:
        """List the files that can't be used, with the columns path and reason, sorted by path."""
        found: pd.DataFrame = self._tables.rows(self._tables.broken, ["path", "reason"]).to_pandas()
        return found.sort_values("path", ignore_index=True)

    def strip(self, id: str) -> bytes:
        """Read a JPEG of small frames side by side. Raises InputError if there is no such video."""
        found = self._tables.rows_of(self._tables.videos, ["strip"], "id", [id])
        if not len(found):
            raise InputError(f"{id}: no such video")
        return bytes(found["strip"][0].as_py())

    def frames(self, ids: Several[str]) -> dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]:
        """Read the times (T,) and the descriptors (T, W) of the frames of videos, by id."""
        columns = ["id", "times", "frames"]
        found = self._tables.rows_of(self._tables.videos, columns, "id", ids)
        by_id = {}
        for row in found.to_pylist():
            times = np.array(row["times"], np.float32)
            frames = np.frombuffer(row["frames"], np.uint8).reshape(len(times), -1)
            by_id[row["id"]] = times, frames
        return by_id

    def codes(self, whole: bool | None = None) -> Segments:
        """All codes, or only those of whole videos, or only those of segments."""
        versions = self._tables.versions()
        if self._cached is None or self._cached[0] != versions:
            self._cached = versions, self._tables.load()
        found = self._cached[1]
        return found if whole is None else found.take(found.whole == whole)

    def search(
        self,
        query: Path | str,
        k: int = 10,
        max_distance: float | None = None,
        max_duration_ratio: float | None = None,
        where: str | None = None,
    ) -> list[Match]:
        """Find the k videos most like a video, and where in them.

        * `query` is a file, or the id of a video of the collection, which does not find itself.
        * `max_distance` bounds the mean Hamming distance, in bits.
        * `max_duration_ratio` bounds the longer duration divided by the shorter one.
        * `where` is an SQL condition on path, id, size and duration.

        Raises InputError if the query can't be read, a bound makes no sense, the condition is not
        valid, or the collection is empty.
        """
        if k < 1:
            raise InputError(f"k: expected a number above 0, not {k}")
        if max_distance is not None and not max_distance >= 0:
            raise InputError(f"max distance: expected 0 or more, not {max_distance:g}")
        if max_duration_ratio is not None and not max_duration_ratio >= 1:
            raise InputError(f"max duration ratio: expected 1 or more, not {max_duration_ratio:g}")
        database = self.codes()
        if not len(database):
            raise InputError(self.hint)
        asked = self._query(query, database)
        eligible = np.ones(len(database.ids), bool)
        if where is not None:
            eligible &= np.isin(database.ids, self.videos(where)["id"].to_numpy(dtype=np.str_))
        if max_duration_ratio is not None:
            ratio = database.wholes.end / max(asked.wholes.end[0], 1e-9)
            eligible &= np.maximum(ratio, 1 / ratio.clip(1e-9)) <= max_duration_ratio
        own = database.position(str(query))
        if own is not None:
            eligible[own] = False
        if not eligible.all():
            database = database.take(eligible[database.owner])
        found = match(asked, database, self.chances(), self.segmenting.stride, k)
        if max_distance is not None:
            found = found[found["distance"] <= max_distance]
        return self._matches(found[:k], database, where)

    def chances(self) -> Chances:
        """What distances between codes of this collection mean."""
        codes = self.codes()
        if self._chances is None or self._chances[0] is not codes:
            known, groups = self._statistics(), related(codes, self.frames)
            wholes, parts = (
                Chance.fit(some.codes, some.owner, known, groups[some.owner])
                for some in (codes.wholes, codes.parts)
            )
            self._chances = codes, Chances(wholes, parts, len(np.unique(groups)))
        return self._chances[1]

    def judge(self, a: str, b: str, verdict: str) -> None:
        """Remember whether two videos are copies: `copy` or `not a copy`.

        Raises InputError if an id is not known, both are the same, or it is another verdict.
        """
        if verdict not in VERDICTS:
            raise InputError(f"verdict: expected {' or '.join(VERDICTS)}, not {verdict!r}")
        if a == b:
            raise InputError(f"{a}: a pair needs two videos")
        known = self._tables.rows_of(self._tables.videos, ["id"], "id", {a, b})["id"].to_pylist()
        for id in (a, b):
            if id not in known:
                raise InputError(f"{id}: no such video")
        row = {"id_a": min(a, b), "id_b": max(a, b), "verdict": verdict}
        self._tables.put(self._tables.judgements, [row], ["id_a", "id_b"])

    def judgements(self) -> pd.DataFrame:
        """List all judgements as id_a, id_b and verdict; id_a is the smaller id."""
        names = tables.JUDGEMENTS.names
        found: pd.DataFrame = self._tables.rows(self._tables.judgements, names).to_pandas()
        return found.sort_values(["id_a", "id_b"], ignore_index=True)

    @cached_property
    def coder(self) -> "VideoCoder":
        """What codes videos; its networks are loaded when they are first needed."""
        from chain.collection.coding import VideoCoder
        from chain.hasher.hasher import Hasher

        hasher = Hasher.load(self.folder / HASHER)
        if hasher.id != self.hasher_id:
            raise InputError(f"{self.folder / HASHER}: another hasher than the one of its codes")
        return VideoCoder(hasher, self.segmenting)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with writing(self.folder / LOCK) as broke_off:
            if broke_off:
                self._tables.remove_leftovers()
            yield

    def _paths(self) -> list[str]:
        paths: list[str] = self._tables.rows(self._tables.videos, ["path"])["path"].to_pylist()
        return paths

    def _query(self, query: Path | str, database: Segments) -> Segments:
        """The codes of a query; those of known content are not computed."""
        place = database.position(str(query))
        if place is None:
            path = Path(query)
            if not path.is_file():
                raise InputError(f"{query}: no such file")
            place = database.position(file_id(path))
        if place is not None:
            return database.of(place)
        coded = self.coder(Path(query))
        count = len(coded.codes)
        start, end = coded.spans.T.astype(np.float32)
        owner, whole = np.zeros(count, np.int32), np.arange(count) == 0
        return Segments(np.array([""]), owner, start, end, whole, coded.codes)

    def _statistics(self) -> list[int]:
        """How many pairs of the hasher's training clips are at each distance."""
        about = json.loads((self.folder / HASHER / HASHER_ABOUT).read_text(encoding="utf-8"))
        distances: list[int] = about["statistics"]["distances"]
        return distances

    def _matches(self, found: pd.DataFrame, database: Segments, where: str | None) -> list[Match]:
        """Look up the paths of what was found; of several, the first that meets the condition."""
        ids = database.ids[found["video"]].tolist()
        columns = ["path", "id", "duration"]
        rows = self._tables.rows_of(self._tables.videos, columns, "id", ids, where).to_pylist()
        videos = {row["id"]: row for row in sorted(rows, key=itemgetter("path"), reverse=True)}
        names = [*PLACE, "distance", "chance"]
        seconds = found[names].astype(float).round(dict.fromkeys(PLACE, 3))  # stored in float32
        values = seconds.to_numpy().tolist()
        return [
            Match(**videos[id], **dict(zip(names, row, strict=True)))
            for id, row in zip(ids, values, strict=True)
            if id in videos
        ]

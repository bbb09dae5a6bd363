"""Looking at files: each is read, and coded if its content is new, side by side with others."""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av

from chain.collection.coded import Coded
from chain.collection.files import Stamp
from chain.core.errors import InputError, one_line
from chain.datasets.clip_files import UNSTORABLE
from chain.datasets.manifest import file_sha256
from chain.datasets.storable import is_storable

ID_DIGITS = 32  # of the SHA-256 of a file


@dataclass(frozen=True, eq=False)
class Good:
    """A file with a video."""

    path: str
    stamp: Stamp
    id: str
    coded: Coded | None
    """None if the content is known already."""


@dataclass(frozen=True)
class Broken:
    """A file that can't be used."""

    path: str
    stamp: Stamp
    reason: str


Outcome: TypeAlias = Good | Broken
Code: TypeAlias = Callable[[Path], Coded]
Look: TypeAlias = Callable[[Sequence[str], Collection[str]], Iterator[Outcome]]
"""A way to look at files, given their paths and the ids that are known; outcomes come in order."""


def look(path: str, known: Collection[str], code: Code) -> Outcome:
    """Look at one file."""
    stamp = Stamp(-1, -1)
    try:
        if not is_storable(path):
            return Broken(path, stamp, UNSTORABLE)
        stamp = Stamp.of(path)
        if not os.path.isfile(path):
            return Broken(path, stamp, "not a file")
        id = file_id(Path(path))
        return Good(path, stamp, id, None if id in known else code(Path(path)))
    except OSError as error:
        return Broken(path, stamp, error.strerror or one_line(error))
    except (InputError, av.FFmpegError) as error:
        return Broken(path, stamp, one_line(error).removeprefix(f"{path}: "))


def file_id(path: Path) -> str:
    """The id of a file's content."""
    return file_sha256(path)[:ID_DIGITS]


def on_threads(load: Callable[[], Code], workers: int) -> Look:
    """A `Look` by threads of this process; `load` is called once there are files to look at."""

    def look_at(paths: Sequence[str], known: Collection[str]) -> Iterator[Outcome]:
        code = load()
        pool = ThreadPoolExecutor(workers)
        try:
            waiting = deque(pool.submit(look, path, known, code) for path in paths[:workers])
            for path in paths[workers:]:
                outcome = waiting.popleft().result()
                waiting.append(pool.submit(look, path, known, code))
                yield outcome
            for last in waiting:
                yield last.result()
        finally:  # who stops in the middle need not wait for a long video
            pool.shutdown(wait=False, cancel_futures=True)

    return look_at

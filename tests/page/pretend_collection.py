"""A collection that only pretends: it answers at once, from what it was given."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chain.core.errors import InputError


@dataclass(frozen=True)
class PretendMatch:
    path: str
    id: str
    duration: float
    start: float
    end: float
    query_start: float
    query_end: float
    distance: float
    chance: float


@dataclass
class PretendCollection:
    """The videos of a table with path, id, size and duration; `matches` answer every search."""

    folder: Path
    table: pd.DataFrame
    matches: list[PretendMatch] = field(default_factory=list)
    bits: int = 64
    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    queries: list[Path | str] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    rough: bool = False

    def videos(self) -> pd.DataFrame:
        return self.table

    def strip(self, id: str) -> bytes:
        return strip_of(int(id[:6], 16))

    def search(self, query: Path | str, k: int) -> list[PretendMatch]:
        self.queries.append(query)
        if isinstance(query, Path):
            self.uploads.append(query.read_bytes())
            try:
                av.open(str(query)).close()
            except av.FFmpegError:
                raise InputError(f"{query}: cannot be opened") from None
        return [match for match in self.matches if match.id != query][:k]

    def chances(self) -> SimpleNamespace:
        return SimpleNamespace(rough=self.rough)

    def judge(self, a: str, b: str, verdict: str) -> None:
        self.verdicts[min(a, b), max(a, b)] = verdict

    def judgements(self) -> pd.DataFrame:
        rows = [(*pair, verdict) for pair, verdict in self.verdicts.items()]
        return pd.DataFrame(rows, columns=["id_a", "id_b", "verdict"])


def id_of(number: int) -> str:
    return f"{number:032x}"[::-1]


def table_of(paths: Sequence[Path | str], durations: Sequence[float]) -> pd.DataFrame:
    """The table of files, some of which may not exist; their sizes are 1000 bytes then."""
    files = [Path(path) for path in paths]
    sizes = [file.stat().st_size if file.is_file() else 1000 for file in files]
    ids = [id_of(number + 1) for number in range(len(files))]
    names = [str(file) for file in files]
    return pd.DataFrame({"path": names, "id": ids, "size": sizes, "duration": list(durations)})


def matches_of(table: pd.DataFrame, count: int) -> list[PretendMatch]:
    """The first `count` videos as matches that get worse from one to the next."""
    return [
        PretendMatch(
            row.path, row.id, row.duration, row.duration / 4, row.duration / 2, 0.0,
            row.duration / 4, 1.5 + 2 * place, 10.0 ** (place - 4),
        )
        for place, row in enumerate(table.head(count).itertuples())
    ]  # fmt: skip


def strip_of(seed: int) -> bytes:
    """Eight squares whose colours change from one to the next."""
    hues = (seed % 256 + 12 * np.arange(8)) % 256
    hsv: NDArray[np.uint8] = np.full((90, 720, 3), 150, np.uint8)
    hsv[..., 0] = hues.repeat(90)
    buffer = io.BytesIO()
    Image.fromarray(hsv, "HSV").convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()

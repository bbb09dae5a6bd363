"""What the server sends as JSON: videos, matches and groups of copies."""

from collections.abc import Iterable
from math import isfinite
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from chain.page.listing import Listing, Video

if TYPE_CHECKING:
    import pandas as pd

    from chain.collection.copies import Group, Pair
    from chain.collection.matching import Match

Shown = dict[str, Any]


def place(path: str) -> Shown:
    """A file's name, and the folder that it is in."""
    return {"name": PurePath(path).name, "folder": str(PurePath(path).parent)}


def shown_video(video: Video) -> Shown:
    """A file of the list."""
    return {
        "id": video.id,
        **place(video.path),
        "size": video.size,
        "duration": number(video.duration),
    }


def shown_match(match: "Match") -> Shown:
    """A line of an answer; times are in seconds, and the distance is in bits."""
    return {
        "id": match.id,
        **place(match.path),
        "duration": number(match.duration),
        "start": number(match.start),
        "end": number(match.end),
        "query_start": number(match.query_start),
        "query_end": number(match.query_end),
        "distance": number(match.distance),
        "chance": number(match.chance),
    }


def number(value: float) -> float | None:
    """A number as JSON has it, which knows neither NaN nor infinity."""
    return float(f"{float(value):.6g}") if isfinite(value) else None


def shown_groups(
    groups: Iterable["Group"], listing: Listing, judgements: "pd.DataFrame"
) -> list[Shown]:
    """Groups of copies: the files of each content, and the pairs with their verdict if any.

    What `listing` does not have is left out, since it came or went in the meantime.
    """
    columns = (judgements[name].tolist() for name in ("id_a", "id_b", "verdict"))
    verdicts = {frozenset((a, b)): verdict for a, b, verdict in zip(*columns, strict=True)}
    shown = []
    for group in groups:
        files = {id: listing.files(id) for id in group.ids if listing.files(id)}
        pairs = [pair for pair in group.pairs if pair.a in files and pair.b in files]
        if files:
            shown.append(
                {
                    "videos": [list(map(shown_video, same)) for same in files.values()],
                    "pairs": [
                        shown_pair(pair, verdicts.get(frozenset((pair.a, pair.b))))
                        for pair in pairs
                    ],
                }
            )
    return shown


def shown_pair(pair: "Pair", verdict: str | None) -> Shown:
    """Two videos with the part that they have in common; times are in seconds."""
    times = ("start_a", "end_a", "start_b", "end_b", "chance")
    return {
        "a": pair.a,
        "b": pair.b,
        **{name: number(getattr(pair, name)) for name in times},
        "turn": pair.turn,
        "verdict": verdict,
    }

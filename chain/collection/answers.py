"""How the answers of a search are written: as text, JSON or CSV."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TypeAlias

from chain.collection.matching import Match

Answers: TypeAlias = Sequence[tuple[str, Sequence[Match]]]
"""Each query, and what was found, the best match first."""


def as_text(answers: Answers) -> str:
    """Write a table for each query."""
    blocks = []
    for query, matches in answers:
        lines = [query, "rank  distance    chance  place          in the query   video"]
        for rank, one in enumerate(matches, start=1):
            place, asked = span(one.start, one.end), span(one.query_start, one.query_end)
            chance = "" if math.isnan(one.chance) else f"{one.chance:.2g}"
            lines.append(
                f"{rank:4}  {one.distance:8.2f}  {chance:>8}  {place:13}  {asked:13}  {one.path}"
            )
        blocks.append("\n".join(lines if matches else [query, "nothing found"]))
    return "\n\n".join(blocks)


def as_json(answers: Answers) -> str:
    """Write a list with an object for each query."""
    found = [
        {"query": query, "matches": [asdict(one) for one in matches]} for query, matches in answers
    ]
    return json.dumps(found, indent=2)


def as_csv(answers: Answers) -> str:
    """Write a line for each match, with the query and the rank in front."""
    out = io.StringIO()
    names = [field.name for field in fields(Match)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["query", "rank", *names])
    for query, matches in answers:
        for rank, one in enumerate(matches, start=1):
            writer.writerow([query, rank, *(getattr(one, name) for name in names)])
    return out.getvalue().rstrip("\n")


def span(start: float, end: float) -> str:
    """Write a span of time, given in seconds."""
    return f"{_clock(start)}-{_clock(end)}"


def _clock(seconds: float) -> str:
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"

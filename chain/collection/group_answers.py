"""How groups of copies are written: as text, JSON or CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from chain.collection.answers import span
from chain.collection.copies import Group


def as_text(groups: Sequence[Group], videos: pd.DataFrame) -> str:
    """Write the files of each group, and which part of one is which part of another.

    `videos` is what `Collection.videos` returns.
    """
    path_of = videos.drop_duplicates("id").set_index("id")["path"].to_dict()
    blocks = []
    for number, group in enumerate(groups, start=1):
        lines = [
            f"group {number}, {len(group.paths)} files",
            *(f"  {path}" for path in group.paths),
        ]
        for pair in group.pairs:
            parts = span(pair.start_a, pair.end_a), span(pair.start_b, pair.end_b)
            turned = f", turned: {pair.turn}" if pair.turn else ""
            lines += [
                f"  {parts[0]} of {path_of[pair.a]}",
                f"    is {parts[1]} of {path_of[pair.b]}",
                f"    similarity {pair.similarity:.3f}, chance {pair.chance:.2g}{turned}",
            ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or "no copies"


def as_json(groups: Sequence[Group], videos: pd.DataFrame) -> str:
    """Write a list with an object for each group."""
    return json.dumps([asdict(group) for group in groups], indent=2)


def as_csv(groups: Sequence[Group], videos: pd.DataFrame) -> str:
    """Write a line for each file of each group."""
    id_of = videos.set_index("path")["id"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["group", "id", "path"])
    for number, group in enumerate(groups, start=1):
        writer.writerows([number, id_of[path], path] for path in group.paths)
    return out.getvalue().rstrip("\n")

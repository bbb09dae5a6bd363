"""How groups of copies are written: as text, JSON or CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from chain.collection.answers import span
from chain.collection.copies import Group, Pair


def as_text(groups: Sequence[Group], videos: pd.DataFrame, pairs: bool = False) -> str:
    """Write the files of each group, the one that is most like the others first.

    Below each other file stands which part of it is which part of the first one, if the two were
    found to be copies. With `pairs`, all pairs of a group follow. `videos` is what
    `Collection.videos` returns.
    """
    of = videos.set_index("path")["id"].to_dict()
    path_of = videos.drop_duplicates("id").set_index("id")["path"].to_dict()
    blocks = []
    for number, group in enumerate(groups, start=1):
        middle = central(group)
        near = {
            pair.b if pair.a == middle else pair.a: pair
            for pair in group.pairs
            if middle in (pair.a, pair.b)
        }
        ordered = sorted(group.paths, key=lambda path: of[path] != middle)
        lines = [_summary(number, group)]
        for place, path in enumerate(ordered):
            lines.append(f"  {path}")
            if of[path] == middle:
                lines += ["    the same file, byte by byte"] * (place > 0)
            elif of[path] in near:
                lines.append(f"    {_parts(near[of[path]], of[path], 'the first')}")
        for pair in group.pairs if pairs else []:
            lines += [
                f"  pair: {path_of[pair.a]}",
                f"    {_parts(pair, pair.a, path_of[pair.b])}",
            ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or "no copies"


def central(group: Group) -> str:
    """The id of the video that is most like the others: the one with most copies in the group."""
    likeness = dict.fromkeys(group.ids, 0.0)
    for pair in group.pairs:
        likeness[pair.a] += pair.similarity
        likeness[pair.b] += pair.similarity
    return max(group.ids, key=lambda id: likeness[id])


def _summary(number: int, group: Group) -> str:
    """How many files and pairs there are, and how sure the least sure pair is."""
    files = f"group {number}: {len(group.paths)} files"
    if not group.pairs:
        return files
    count = f"{len(group.pairs)} pair{'s' * (len(group.pairs) > 1)}"
    similarity = min(pair.similarity for pair in group.pairs)
    chance = max(pair.chance for pair in group.pairs)
    return f"{files}, {count}, similarity {similarity:.3f} or more, chance {chance:.2g} or less"


def _parts(pair: Pair, id: str, other: str) -> str:
    """Which part of the video `id` is which part of the other one, and how alike they are."""
    parts = [span(pair.start_a, pair.end_a), span(pair.start_b, pair.end_b)]
    own, theirs = parts if id == pair.a else reversed(parts)
    turned = f", turned: {pair.turn}" if pair.turn else ""
    likeness = f"similarity {pair.similarity:.3f}, chance {pair.chance:.2g}"
    return f"{own} is {theirs} of {other}, {likeness}{turned}"


def as_json(groups: Sequence[Group], videos: pd.DataFrame) -> str:
    """Write a list with an object for each group, with all its pairs."""
    found = [asdict(group) | {"central": central(group)} for group in groups]
    return json.dumps(found, indent=2)


def as_csv(groups: Sequence[Group], videos: pd.DataFrame) -> str:
    """Write a line for each file of each group."""
    id_of = videos.set_index("path")["id"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["group", "id", "path"])
    for number, group in enumerate(groups, start=1):
        writer.writerows([number, id_of[path], path] for path in group.paths)
    return out.getvalue().rstrip("\n")

"""From pairs of copies to groups."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def grouped(
    pairs: Sequence[tuple[str, str, bool]], apart: Iterable[tuple[str, str]]
) -> list[list[str]]:
    """Group what shares a stretch of video.

    Args:
        pairs: two ids, the surest pair first. The third value says that the second one holds the
            first one and much more, so that it may hold others, too.
        apart: two ids that are never in one group, not through a third one either.

    * Pairs that share most of both are joined to components, one after the other. A pair that would
      bring together what has to stay apart joins nothing. It makes a further group, of one side and
      of what may be with it on the other.
    * What holds something is added to its group with the rest of its own component. So it is in the
      groups of all that it holds, but does not join them.
    * A group that is part of another one is left out.

    Each group is sorted, and so are the groups.
    """
    enemies: dict[str, set[str]] = {}
    for one, other in apart:
        enemies.setdefault(one, set()).add(other)
        enemies.setdefault(other, set()).add(one)

    def fit(some: set[str], others: set[str]) -> bool:
        return not any(enemies[one] & others for one in some if one in enemies)

    of: dict[str, set[str]] = {}
    for one, other, _ in pairs:
        of.setdefault(one, {one})
        of.setdefault(other, {other})
    for one, other, holds in pairs:
        if not holds and of[one] is not of[other] and fit(of[one], of[other]):
            joined = of[one] | of[other]
            of.update(dict.fromkeys(joined, joined))
    further = [
        of[own] | rest
        for one, other, holds in pairs
        if not holds and of[one] is not of[other]
        for own, theirs in ((one, other), (other, one))
        if theirs in (rest := {id for id in of[theirs] if fit({id}, of[own])})
    ]
    larger = {id(group): set(group) for group in of.values()}
    for one, other, holds in pairs:
        group = larger[id(of[one])]
        if holds and fit(group, of[other]):
            group |= of[other]
    found = sorted(
        map(sorted, [*larger.values(), *further]), key=lambda group: (-len(group), group)
    )
    kept: list[list[str]] = []
    within: dict[str, list[set[str]]] = {}
    for ids in found:
        members = set(ids)
        if len(ids) > 1 and not any(members <= other for other in within.get(ids[0], [])):
            kept.append(ids)
            for one in ids:
                within.setdefault(one, []).append(members)
    return sorted(kept)

"""Which packets to decode where a long clip's wanted frames are few: planned from packets alone."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

CODECS = {"h264", "mpeg4", "vp9"}  # a packet holds one frame, and a keyframe forgets all before it
SHORT = 500  # packets; up to here a clip is decoded through, so that all damage shows
WORTH = 0.9  # of the packets; if more than these are needed, a clip is decoded through
NO_FRAME = 16  # bytes; an MPEG-4 packet this small may say that its frame was left out


class Entry(NamedTuple):
    """What a packet's header says, times in units of the stream's time base."""

    pts: int | None
    dts: int | None
    size: int
    keyframe: bool
    usable: bool
    """Marked neither as damaged nor as one whose frame is not to be shown."""


class Run(NamedTuple):
    """Packets `start` to `stop`, the latter excluded, which can be decoded on their own."""

    start: int
    stop: int
    time: int
    """To seek to, in the file."""
    pts: list[int]
    """Of the frames that come of it, in the order of presentation."""


class Plan(NamedTuple):
    """The runs that hold all wanted frames, in the order of the file."""

    runs: list[Run]
    pts: list[int]
    """Of all the clip's frames, in the order of presentation."""


def plan_runs(
    entries: Sequence[Entry], indices: Collection[int], codec: str, reorders: bool
) -> Plan | None:
    """How to decode the frames at `indices`, in the order of presentation, and little else.

    `entries` are the stream's packets in the order of the file; `reorders` says whether that may
    differ from the order of presentation. A run goes from a keyframe to the last packet wanted
    before the next; the first run starts with packet 0, from which decoders learn what later ones
    may leave out. A keyframe starts a run only if all packets before it are shown before it, and
    all after it after it: at open GOPs none starts.

    None where the clip is to be decoded through: if it is short, if that costs hardly more, if the
    codec is not one of CODECS, or if packets don't tell which frames there are. That is so if one
    is marked as unusable or times are missing, repeated, going back or, despite B-frames, those of
    decoding (AVI). Otherwise it is assumed, of what no run holds, that each packet gives a frame,
    shown at the packet's time.
    """
    count = len(entries)
    if count <= SHORT or codec not in CODECS or not all(entry.usable for entry in entries):
        return None
    if codec == "mpeg4" and min(entry.size for entry in entries) <= NO_FRAME:
        return None
    pts = np.array([entry.pts for entry in entries if entry.pts is not None])
    dts = np.array([entry.dts for entry in entries if entry.dts is not None])
    if len(np.unique(pts)) < count or (np.diff(dts) <= 0).any():
        return None

    order = pts.argsort()
    rank, places = order.argsort(), np.arange(count)
    if reorders and (rank == places).all():
        return None
    apart = (rank == places) & (np.maximum.accumulate(rank) == places)
    starts = np.flatnonzero(apart & [entry.keyframe for entry in entries])
    if not len(starts) or starts[0] != 0:
        return None
    stops = {0: 1}
    for place in np.sort(order[list(indices)]):
        stops[int(starts[starts <= place][-1])] = int(place) + 1
    if sum(stop - start for start, stop in stops.items()) > WORTH * count:
        return None
    runs = []
    for start, stop in stops.items():
        time = entries[start].dts
        shown = np.sort(pts[start:stop]).tolist()
        runs.append(Run(start, stop, shown[0] if time is None else time, shown))
    return Plan(runs, pts[order].tolist())

"""Planning which packets to decode when few frames of a long clip are wanted.

The plan is made from the packets' headers, before anything is decoded.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

CODECS = {"h264", "mpeg4", "vp9"}
"""In these, a packet holds one frame, and after a keyframe nothing refers to what was before it."""
SHORT = 500  # packets; a clip of up to this many is decoded whole, so that all damage shows
WORTH = 0.9  # if more than this share of the packets is needed, the clip is decoded whole
NO_FRAME = 16  # bytes; an MPEG-4 packet this small may say that its frame was left out


class Entry(NamedTuple):
    """A packet's header. Its times are in units of the stream's time base."""

    pts: int | None
    dts: int | None
    size: int
    keyframe: bool
    usable: bool
    """Whether the packet is marked neither as damaged nor as one whose frame is not shown."""


class Run(NamedTuple):
    """Packets `start` to `stop` (exclusive), which can be decoded without the others."""

    start: int
    stop: int
    time: int
    """The time to seek to in the file."""
    pts: list[int]
    """The times of the frames that it gives, in the order of presentation."""


class Plan(NamedTuple):
    """The runs that hold all wanted frames, in the order of the file."""

    runs: list[Run]
    pts: list[int]
    """The times of all the clip's frames, in the order of presentation."""


def plan_runs(
    entries: Sequence[Entry], indices: Collection[int], codec: str, reorders: bool
) -> Plan | None:
    """A plan to decode the frames at `indices`, in the order of presentation, and little else.

    `entries` are the stream's packets in the order of the file. `reorders` says whether the order
    of presentation may be another one.

    * A run goes from a keyframe to the last wanted packet before the next run's keyframe.
    * The first run starts with packet 0, because decoders learn from it what later packets omit.
    * A keyframe can start a run only if all packets before it are shown before it, and all packets
      after it are shown after it. Keyframes of open GOPs do not qualify.

    Returns None if the clip has to be decoded whole, which is so in these cases:

    * The clip is short, or decoding it whole costs hardly more.
    * The codec is not one of CODECS.
    * A packet is marked as unusable, or is so small that it may hold no frame.
    * Times are missing, repeated or going back. In AVI with B-frames they are those of decoding.

    For the packets outside all runs, the plan assumes that each gives one frame at its time.
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

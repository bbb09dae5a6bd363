"""Whether two videos show the same: their frames, compared along a line in time.

Similar is not the same. Two clips of one scene share the picture, so that the likeness of their
frames says little. What they do not share is how the picture changes. So frames are compared after
the mean picture of the stretch is taken from them: in a copy, what is left agrees at each moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chain.collection.descriptors import SIDE, thumbnails

Array: TypeAlias = NDArray[np.floating[Any]]
Turn = Literal[
    "", "mirrored", "left", "right", "half", "mirrored left", "mirrored right", "flipped"
]
"""How the second video's picture is turned against the first one's; "" says that it is not."""

SPEEDS = (1.0, 0.8, 1.25, 0.9, 1.11, 0.67, 1.5, 0.5, 2.0)
"""How fast the second video plays what the first one shows; the ratio of durations comes first."""
SIDES = (0.9, 0.8, 0.7, 0.58)
"""Sides of what a crop leaves of a picture, as shares."""
SMALLEST = 0.5  # the smallest such side
CONTRAST = 6.0  # grey levels; a picture with a smaller standard deviation counts less
FEWEST = 3.0  # frames with a picture that have to agree
SHARE = 0.5  # of the shorter video that has to agree
MOVES = 0.05  # how much the pictures change if their change is to count in full
STILL = 0.02  # how much they change at most where nothing moves
LONGEST = 256  # frames of the shorter video by which lines are looked for
CELLS = 2_000_000  # frames of lines that are looked at in one step
LOOKED_AT = 16  # frames of a video by which windows are ranked
WINDOWS = 4  # windows that are looked through, besides the whole picture
LINES = 16  # lines in time that are compared in full
ROUNDS = 4  # of refinement
PROMISING = 0.4  # the agreement from which on it is refined
CERTAIN = 0.96  # the agreement from which on nothing better is looked for


class Window(NamedTuple):
    """A part of a picture, in shares of its sides."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    def of(self, pictures: Array) -> Array:
        """That part of pictures (T, 12, 12), stretched to the same size."""
        down, across = _stretch(self.top, self.bottom), _stretch(self.left, self.right)
        part: Array = down @ pictures @ across.T
        return part


WHOLE = Window()


class Line(NamedTuple):
    """What the second video shows at `time`, the first one shows at `start + speed * time`."""

    start: float
    speed: float


class Agreement(NamedTuple):
    """How two videos agree along a line."""

    frames: float
    """How many frames with a picture are compared."""
    still: float
    """The correlation of the pictures, from -1 to 1."""
    moving: float
    """The correlation of what changes in them."""
    motion: float
    """How much changes: the root of its mean square, where a picture's own is 1."""

    @property
    def moves(self) -> bool:
        """Whether anything moves."""
        return self.motion >= STILL

    @property
    def similarity(self) -> float:
        """From -1 to 1: `moving`, or `still` where nothing moves."""
        return self.moving if self.moves else self.still

    @property
    def rank(self) -> float:
        """What is largest where two videos fit best."""
        return self.still / 2 + self.moving * min(1.0, self.motion / MOVES) - 0.5 / self.frames


class Alignment(NamedTuple):
    """Where two videos agree best, and how much."""

    agreement: Agreement
    line: Line
    first: Window
    """What part of the first video's picture the second one shows; one of the two is whole."""
    second: Window

    def inverse(self) -> "Alignment":
        """The same, with the two videos exchanged."""
        line = Line(-self.line.start / self.line.speed, 1 / self.line.speed)
        return Alignment(self.agreement, line, self.second, self.first)


@dataclass(frozen=True, eq=False)
class Film:
    """The frames of a video, ready to be compared."""

    times: NDArray[np.float64]
    """Their times (T,), in seconds."""
    pictures: Array
    """Their thumbnails (T, 12, 12), in grey levels, smoothed."""

    @classmethod
    def of(cls, times: NDArray[np.floating], descriptors: NDArray[np.uint8]) -> Self:
        """Make it of times (T,) and descriptors (T, W)."""
        return cls(np.asarray(times, np.float64), _smooth() @ thumbnails(descriptors) @ _smooth().T)

    def turned(self, turn: Turn) -> "Film":
        """The same video with its pictures turned."""
        return replace(self, pictures=turned(self.pictures, turn))

    @cached_property
    def step(self) -> float:
        """The time from a frame to the next one, in seconds."""
        return max(float(np.median(np.diff(self.times))), 1e-3) if len(self.times) > 1 else 1.0

    @property
    def start(self) -> float:
        """When its first frame begins, half a step before its time."""
        return float(self.times[0]) - self.step / 2

    @property
    def end(self) -> float:
        """When its last frame ends."""
        return float(self.times[-1]) + self.step / 2

    @property
    def length(self) -> float:
        """How long its frames last, in seconds."""
        return self.end - self.start

    @cached_property
    def whole(self) -> Array:
        """Its frames as vectors (T, 144)."""
        return vectors(self.pictures)

    @cached_property
    def shown(self) -> float:
        """How many of its frames show a picture."""
        return float((self.whole**2).sum())

    @cached_property
    def shows(self) -> NDArray[np.bool_]:
        """Which of its frames (T,) show a picture."""
        shows: NDArray[np.bool_] = self.pictures.std(axis=(1, 2)) >= CONTRAST
        return shows

    def middle(self) -> "Film":
        """Its middle LONGEST frames, or all if it has no more."""
        cut = max((len(self.times) - LONGEST) // 2, 0)
        part = slice(cut, cut + LONGEST)
        return replace(self, times=self.times[part], pictures=self.pictures[part]) if cut else self

    def through(self, window: Window) -> Array:
        """A part of its frames as vectors (T, 144)."""
        return self.whole if window == WHOLE else vectors(window.of(self.pictures))


def turned(pictures: Array, turn: Turn) -> Array:
    """Pictures (T, n, n), turned to the left or right by a quarter or by a half, or mirrored."""
    if turn in ("mirrored", "mirrored left", "mirrored right"):
        pictures = pictures[:, :, ::-1]
    if turn == "flipped":
        pictures = pictures[:, ::-1]
    quarters = {"left": 1, "half": 2, "right": 3, "mirrored left": 1, "mirrored right": 3}
    return np.rot90(pictures, quarters.get(turn, 0), axes=(1, 2))


def vectors(pictures: Array) -> Array:
    """Pictures (..., n, n) as vectors (..., n²) of mean 0 and length 1, or shorter if flat."""
    flat = pictures.reshape(*pictures.shape[:-2], -1)
    centred = flat - flat.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    scale = np.float32(1 / np.sqrt(flat.shape[-1]))
    scaled: Array = centred * (scale / np.maximum(deviation, CONTRAST))
    return scaled


def align(first: Film, second: Film) -> Alignment | None:
    """Find where two videos agree best, or None if they have too few pictures in common.

    Offsets, speeds and crops are tried. The whole pictures come first, and if they agree closely,
    nothing else is tried.
    """
    if min(first.shown, second.shown) < FEWEST:
        return None
    if second.length > first.length:
        turned_round = align(second, first)
        return turned_round and turned_round.inverse()
    best = None
    for windows in _windows(first, second):
        for line in _likely(first, second, windows):
            best = _better(best, first, second, line, *windows)
        if best and windows == (WHOLE, WHOLE) and best.agreement.similarity >= CERTAIN:
            break
    if best and best.agreement.similarity >= PROMISING:
        best = _refined(best, first, second)
    return best


def agreement(first: Film, second: Film, line: Line, one: Window, two: Window) -> Agreement | None:
    """Compare two videos along a line, each seen through a window.

    The frames of the one with fewer frames a second are compared with what the other one shows at
    that time, between two of its frames. Frames count as far as both show a picture. The result is
    None if they are too few.
    """
    x, y = first.through(one), second.through(two)
    if line.speed * second.step >= first.step:
        at = line.start + line.speed * second.times
        inside = _within(at, first)
        x, y = _between(x, first.times, at[inside]), y[inside]
    else:
        at = (first.times - line.start) / line.speed
        inside = _within(at, second)
        x, y = x[inside], _between(y, second.times, at[inside])
    weights = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    frames = float(weights.sum())
    if frames < FEWEST:
        return None
    weights = (weights / frames)[:, None]
    still = float((weights * x * y).sum())
    still /= np.sqrt(float((weights * x**2).sum() * (weights * y**2).sum()))
    x, y = x - (weights * x).sum(axis=0), y - (weights * y).sum(axis=0)
    changes = float((weights * x**2).sum()), float((weights * y**2).sum())
    moving = float((weights * x * y).sum()) / max(np.sqrt(changes[0] * changes[1]), 1e-9)
    return Agreement(frames, still, moving, float(np.sqrt(min(changes))))


def span(alignment: Alignment, first: Film, second: Film) -> tuple[float, float, float, float]:
    """From when to when the two agree: start and end in the first, start and end in the second."""
    start, speed = alignment.line
    low = max(first.start, start + speed * second.start, 0.0)
    high = min(first.end, start + speed * second.end)
    return low, high, max((low - start) / speed, 0.0), (high - start) / speed


def _lines(first: Film, second: Film) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Starts (L,) and a speed of lines that join at least SHARE of the shorter video.

    They come in blocks, so that a long video takes little memory.
    """
    ratio = first.length / second.length
    step = min(first.step, second.step)
    most = CELLS // len(second.times)
    for speed in dict.fromkeys((ratio, *SPEEDS) if ratio < 2.5 else SPEEDS):
        least = SHARE * min(first.length, second.length * speed)
        shift = first.start - speed * second.start
        low, high = shift - second.length * speed + least, shift + first.length - least
        starts = np.append(np.linspace(low, high, int((high - low) / step) + 2), shift)
        for block in range(0, len(starts), most):
            yield starts[block : block + most], speed


def _windows(first: Film, second: Film) -> Iterator[tuple[Window, Window]]:
    """The whole pictures, then the windows through which the frames fit best."""
    yield WHOLE, WHOLE
    known, matrices = _known_windows()
    ranked = []
    for film, other in ((first, second), (second, first)):
        some = film.pictures[_some(film, other)]
        parts = (matrices @ some.reshape(len(some), -1).T).swapaxes(1, 2)  # (W, T, 144)
        seen = vectors(parts.reshape(-1, SIDE, SIDE))
        alike = (seen @ other.whole[_some(other, film)].T).reshape(len(known), len(some), -1)
        shorter = 2 if film.length <= other.length else 1  # each frame of the shorter has a match
        found = alike.max(axis=shorter).mean(axis=1).tolist()
        ranked += [(fit, film is first, window) for fit, window in zip(found, known, strict=True)]
    for _, of_first, window in sorted(ranked, reverse=True)[:WINDOWS]:
        yield (window, WHOLE) if of_first else (WHOLE, window)


def _likely(first: Film, second: Film, windows: tuple[Window, Window]) -> list[Line]:
    """The lines on which frames are most alike, compared with how alike they are elsewhere.

    Half of them are found by all that frames share, and half by what they share beyond what each
    shares with all frames of the other video. Of a long second video, the middle is looked at.
    """
    middle = second.middle()
    alike = first.through(windows[0]) @ middle.through(windows[1]).T
    alike = alike - alike.mean()
    moving = alike - alike.mean(axis=0) - alike.mean(axis=1)[:, None]
    column = np.arange(len(middle.times))
    starts, speeds, evidence = [], [], []
    for block, speed in _lines(first, second):
        at = block[:, None] + speed * middle.times
        inside = _within(at, first)
        low, high, share = _neighbours(first.times, at)
        along = [
            ((1 - share) * likeness[low, column] + share * likeness[high, column]) * inside
            for likeness in (alike, moving)
        ]
        frames = np.sqrt(np.maximum(inside.sum(axis=1), 1))
        evidence.append(np.stack([one.sum(axis=1) / frames for one in along]))
        starts.append(block)
        speeds.append(np.full(len(block), speed))
    every = np.concatenate(starts), np.concatenate(speeds)
    best = np.argsort(-np.concatenate(evidence, axis=1), axis=1, kind="stable")[:, : LINES // 2]
    return [Line(*(float(one[row]) for one in every)) for row in dict.fromkeys(best.ravel())]


def _refined(best: Alignment, first: Film, second: Film) -> Alignment:
    """Move the line and the edges of the window a little, as long as it fits better so."""
    size = 1.0
    for _ in range(ROUNDS):
        before = best
        for line, one, two in _moves(best, size, min(first.step, second.step), second.times.mean()):
            best = _better(best, first, second, line, one, two) or best
        size *= 0.5 if best is before else 0.8
    return best


def _moves(
    best: Alignment, size: float, step: float, middle: float
) -> Iterator[tuple[Line, Window, Window]]:
    (start, speed), one, two = best.line, best.first, best.second
    for sign in (-size, size):
        yield Line(start + sign * step / 2, speed), one, two
        faster = speed * (1 + 0.06 * sign)
        yield Line(start + (speed - faster) * middle, faster), one, two
        for edge in range(4):
            if two == WHOLE and (moved := _moved(one, edge, 0.06 * sign)):
                yield best.line, moved, two
            if one == WHOLE and (moved := _moved(two, edge, 0.06 * sign)):
                yield best.line, one, moved


def _moved(window: Window, edge: int, by: float) -> Window | None:
    edges = list(window)
    edges[edge] = min(max(edges[edge] + by, 0.0), 1.0)
    moved = Window(*edges)
    large = min(moved.bottom - moved.top, moved.right - moved.left) >= SMALLEST
    return moved if large and moved != window else None


def _better(
    best: Alignment | None, first: Film, second: Film, line: Line, one: Window, two: Window
) -> Alignment | None:
    found = agreement(first, second, line, one, two)
    if found is None or (best and found.rank <= best.agreement.rank + 1e-4):
        return best
    steps = first.step, second.step * line.speed
    shorter = min(first.shown * steps[0], second.shown * steps[1])
    if found.frames * max(steps) < SHARE * shorter:
        return best
    return Alignment(found, line, one, two)


def _within(at: NDArray[np.float64], film: Film) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (at > film.start) & (at < film.end)
    return inside


def _neighbours(
    times: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """The frames before and after each time, and how far it is from the one to the other."""
    place = np.interp(at, times, np.arange(len(times)))
    low = np.minimum(place.astype(np.int64), max(len(times) - 2, 0))
    return low, np.minimum(low + 1, len(times) - 1), (place - low).astype(np.float32)


def _between(frames: Array, times: NDArray[np.float64], at: NDArray[np.float64]) -> Array:
    low, high, share = _neighbours(times, at)
    return (1 - share)[:, None] * frames[low] + share[:, None] * frames[high]


def _some(film: Film, other: Film) -> NDArray[np.int64]:
    """Positions of some frames, of a longer video more."""
    count = len(film.times)
    most = LOOKED_AT if film.length <= other.length else 4 * LOOKED_AT
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


@cache
def _known_windows() -> tuple[list[Window], Array]:
    """The windows that are tried, and their matrices (W, 144, 144)."""
    kinds = product(SIDES, (0.0, 0.5, 1.0))
    spans = [(place * (1 - side), place * (1 - side) + side) for side, place in kinds]
    both = list(product([(0.0, 1.0), *spans], repeat=2))[1:]
    matrices = np.stack([np.kron(_stretch(*down), _stretch(*across)) for down, across in both])
    return [Window(*down, *across) for down, across in both], matrices


def _stretch(start: float, end: float) -> Array:
    """The matrix (12, 12) that stretches a part of a line of pixels to the whole line."""
    middles = start + (np.arange(SIDE) + 0.5) / SIDE * (end - start)
    places = (middles * SIDE - 0.5).clip(0, SIDE - 1)
    matrix: Array = np.maximum(1 - np.abs(places[:, None] - np.arange(SIDE)), 0)
    return matrix.astype(np.float32)


@cache
def _smooth() -> Array:
    """The matrix (12, 12) that smooths a line of pixels, since crops differ in what is sharp."""
    matrix: Array = np.eye(SIDE) / 2 + (np.eye(SIDE, k=1) + np.eye(SIDE, k=-1)) / 4
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix.astype(np.float32)

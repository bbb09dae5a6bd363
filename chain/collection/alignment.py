"""Whether two videos show the same in the same order: frames compared along a line in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chain.collection.descriptors import SIDE, thumbnails

Array = NDArray[np.float32]

SPEEDS = (1.0, 0.8, 1.25, 0.9, 1.11, 0.67, 1.5, 0.5, 2.0)
"""How fast the second video plays what the first one shows."""
WINDOWS = (1.0, 0.9, 0.8, 0.7, 0.58)
"""Sides of the part of a picture that is left after a crop, as shares of the whole."""
VISIBLE = 6.0  # grey levels; the contrast from which on a picture counts in full
FEWEST = 3  # frames that have to match
TRIED = 4  # windows of which all lines in time are tried
KEPT = 24  # lines that are compared frame by frame


class Window(NamedTuple):
    """A part of a picture: where it begins and how long it is, down and across, as shares."""

    top: float = 0.0
    tall: float = 1.0
    left: float = 0.0
    wide: float = 1.0


WHOLE = Window()


class Line(NamedTuple):
    """What is at `time` in the second video is at `start + speed * time` in the first."""

    start: float
    speed: float


@dataclass(frozen=True)
class Found:
    still: float
    moving: float
    motion: float
    frames: float
    line: Line
    windows: tuple[Window, Window]
    span: tuple[float, float]


def normalised(pictures: Array) -> Array:
    """Pictures (..., P) without their mean, of length 1 where they have contrast, else shorter."""
    centred = pictures - pictures.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    return centred / (np.maximum(deviation, VISIBLE) * np.float32(np.sqrt(pictures.shape[-1])))


@cache
def windows() -> list[Window]:
    parts = [(0.0, 1.0)] + [
        (place * (1 - side), side) for side in WINDOWS[1:] for place in (0.0, 0.5, 1.0)
    ]
    return [Window(*down, *across) for down, across in product(parts, parts)]


@cache
def window_matrix(window: Window) -> Array:
    down, across = _stretch(window.top, window.tall), _stretch(window.left, window.wide)
    return np.kron(down, across).astype(np.float32)


def _stretch(start: float, length: float) -> Array:
    """The matrix (SIDE, SIDE) that stretches a part of a line of pixels to the whole line."""
    places = (start + (np.arange(SIDE) + 0.5) / SIDE * length) * SIDE - 0.5
    places = places.clip(0, SIDE - 1)
    low = np.minimum(places.astype(int), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    rows = np.arange(SIDE)
    matrix[rows, low] = 1 - (places - low)
    matrix[rows, low + 1] = places - low
    return matrix


@cache
def all_windows() -> Array:
    return np.stack([window_matrix(w).T for w in windows()])  # (W, 144, 144)


class Film:
    def __init__(self, times, descriptors):
        self.times = np.asarray(times, np.float64)
        self.raw = thumbnails(descriptors).reshape(len(times), -1)
        self.whole = normalised(self.raw)
        self._views = None

    @property
    def step(self):
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1.0

    def views(self):
        if self._views is None:
            self._views = normalised(self.raw @ all_windows())
        return self._views

    def through2(self, w):
        if w == WHOLE: return self.whole
        down, across = _stretch(w.top, w.tall), _stretch(w.left, w.wide)
        return normalised((down @ self.raw.reshape(-1, SIDE, SIDE) @ across.T).reshape(len(self.raw), -1))

    def through(self, w):
        return self.whole if w == WHOLE else normalised(self.raw @ window_matrix(w).T)


def best_windows(a: Film, b: Film):
    """(pairs of windows)"""
    sub_a = np.linspace(0, len(a.times)-1, min(16, len(a.times))).astype(int)
    sub_b = np.linspace(0, len(b.times)-1, min(16, len(b.times))).astype(int)
    out = []
    va = a.views()[:, sub_a]; vb = b.views()[:, sub_b]
    sa = va @ b.whole.T          # (W, n, Tb)
    sb = vb @ a.whole.T
    ca = sa.max(axis=2).mean(axis=1) if len(a.times) <= len(b.times) else sa.max(axis=1).mean(axis=1)
    # the shorter one's frames look for their match
    def score(s, own_short):
        return s.max(axis=2).mean(axis=1) if own_short else s.max(axis=1).mean(axis=1)
    shorter_a = a.times[-1] <= b.times[-1]
    ca = score(va @ b.whole.T, shorter_a)
    cb = score(vb @ a.whole.T, not shorter_a)
    ws = windows()
    ranked = sorted([(float(c), (w, WHOLE)) for c, w in zip(ca, ws)] + [(float(c), (WHOLE, w)) for c, w in zip(cb, ws)][1:], key=lambda p: -p[0])
    return ranked


def lines(a: Film, b: Film) -> tuple[NDArray, NDArray]:
    """offset, speed arrays"""
    sa, sb = a.times[-1] - a.times[0] + a.step, b.times[-1] - b.times[0] + b.step
    ratio = sa / sb
    speeds = list(SPEEDS)
    if 0.4 < ratio < 2.5: speeds.append(ratio)
    starts, sp = [], []
    step = min(a.step, b.step) / 1.0
    for s in speeds:
        least = 0.5 * min(sa, sb * s)
        lo, hi = a.times[0] - sb * s + least, a.times[-1] + a.step - least
        n = min(200, int((hi - lo) / step) + 2)
        o = np.linspace(lo, hi, n)
        starts.append(o); sp.append(np.full(n, s))
    starts.append([a.times[0] - a.step/2 + b.step/2*ratio - ratio*b.times[0]]); sp.append([ratio])
    return np.concatenate(starts), np.concatenate(sp)


def coarse(S, a, b, starts, speeds):
    """mean of double centred similarity along each line"""
    C = S - S.mean(0) - S.mean(1)[:, None] + S.mean()
    t = starts[:, None] + speeds[:, None] * b.times[None]      # (L, Tb)
    pos = np.interp(t, a.times, np.arange(len(a.times)))
    inside = (t > a.times[0] - a.step / 2) & (t < a.times[-1] + a.step / 2)
    lo = np.minimum(pos.astype(int), max(len(a.times) - 2, 0)); f = pos - lo
    hi = np.minimum(lo + 1, len(a.times) - 1)
    cols = np.arange(len(b.times))
    def along(M): return (((1 - f) * M[lo, cols] + f * M[hi, cols]) * inside).sum(1)
    n = inside.sum(1)
    return along(C) / np.sqrt(np.maximum(n, 1)), along(S) / np.maximum(n, 1), n


def exact(X, Y, a, b, start, speed):
    t = start + speed * b.times
    if speed * b.step >= a.step:        # b is sparser: its frames, and a interpolated
        inside = (t > a.times[0] - a.step / 2) & (t < a.times[-1] + a.step / 2)
        y = Y[inside]; x = interpolated(X, a.times, t[inside])
    else:
        u = (a.times - start) / speed
        inside = (u > b.times[0] - b.step / 2) & (u < b.times[-1] + b.step / 2)
        x = X[inside]; y = interpolated(Y, b.times, u[inside])
    n = len(x)
    if n < FEWEST: return None
    still = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum() + 1e-9)
    cx, cy = x - x.mean(0), y - y.mean(0)
    ex, ey = (cx**2).sum(), (cy**2).sum()
    moving = (cx * cy).sum() / np.sqrt(ex * ey + 1e-9)
    return still, moving, np.sqrt(min(ex, ey) / n), n


def interpolated(X, times, at):
    pos = np.interp(at, times, np.arange(len(times)))
    lo = np.minimum(pos.astype(int), max(len(times) - 2, 0)); f = (pos - lo)[:, None].astype(np.float32)
    return (1 - f) * X[lo] + f * X[np.minimum(lo + 1, len(times) - 1)]


def score(e):
    return e[0] + e[1] * min(1.0, e[2] / 0.1) - 0.5 / e[3]


def compare(a: Film, b: Film) -> Found | None:
    best = None
    starts, speeds = lines(a, b)
    ranked = best_windows(a, b)[:TRIED]
    if all(r[1] != (WHOLE, WHOLE) for r in ranked): ranked.append((0.0, (WHOLE, WHOLE)))
    for _, (wa, wb) in ranked:
        X, Y = a.through(wa), b.through(wb)
        c, m, n = coarse(X @ Y.T, a, b, starts, speeds)
        for k in np.argsort(-(c))[:KEPT]:
            e = exact(X, Y, a, b, starts[k], speeds[k])
            if e is None: continue
            s = score(e)
            if best is None or s > best[0]:
                best = (s, e, Line(starts[k], speeds[k]), (wa, wb))
    if best is None: return None
    if best[1][1] > 0.4: best = refined(a, b, best)
    s, e, line, w = best
    return Found(*map(float, e), line, w, (0, 0))


def refined(a, b, best):
    s, e, line, (wa, wb) = best
    dt, dv, dw = min(a.step, b.step) / 2, 0.06, 0.06
    mid = b.times.mean()
    for _ in range(4):
        improved = False
        moves = []
        for k in (-1, 1):
            moves.append((Line(line.start + k * dt, line.speed), wa, wb))
            v = line.speed * (1 + k * dv)
            moves.append((Line(line.start + (line.speed - v) * mid, v), wa, wb))
            for side in (0, 1):
                w = (wa, wb)[side]
                if (wb, wa)[side] != WHOLE: continue
                for edge in range(4):   # top, bottom, left, right
                    m = moved(w, edge, k * dw)
                    if m: moves.append((line, m, wb) if side == 0 else (line, wa, m))
        for l, x, y in moves:
            f = exact(a.through2(x), b.through2(y), a, b, l.start, l.speed)
            if f and score(f) > s + 1e-4:
                s, e, line, wa, wb, improved = score(f), f, l, x, y, True
        if not improved or True:
            dt, dv, dw = (dt / 2, dv / 2, dw / 2) if not improved else (dt * .8, dv * .8, dw * .8)
    return s, e, line, (wa, wb)


def moved(w, edge, by):
    top, bottom, left, right = w.top, w.top + w.tall, w.left, w.left + w.wide
    v = [top, bottom, left, right]; v[edge] = min(1.0, max(0.0, v[edge] + by))
    if v[1] - v[0] < .5 or v[3] - v[2] < .5: return None
    n = Window(v[0], v[1] - v[0], v[2], v[3] - v[2])
    return None if n == w else n

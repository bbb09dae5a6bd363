"""Motions: how subjects move.

A motion is a function of times `t` (T,) in [0, 1] and a random generator. It gives a track (T, 5):
x, y, scale, angle and pose of a subject at each time.
"""

import math

import numpy as np

from chain.datasets.demo.shading import Array, Rng


def _track(
    t: Array,
    x: Array | float = 0.0,
    y: Array | float = 0.0,
    scale: Array | float = 1.0,
    angle: Array | float = 0.0,
    pose: Array | float = 0.0,
) -> Array:
    return np.stack(np.broadcast_arrays(x, y, scale, angle, pose, t)[:5], axis=1)


def _paced(t: Array, rng: Rng) -> Array:
    """The progress of a one-way motion, which starts late, ends early and has an uneven speed."""
    start, stop = rng.uniform(0, 0.15), rng.uniform(0.85, 1)
    progress: Array = np.clip((t - start) / (stop - start), 0, 1)
    return progress ** math.exp(rng.normal(0, 0.2))


def _phase(t: Array, low: float, high: float, rng: Rng) -> Array:
    """The angle of a periodic motion: `low` to `high` turns in a clip, from a random start."""
    return 2 * np.pi * (rng.uniform(low, high) * t + rng.random())


def _cross_over(t: Array, rng: Rng) -> Array:
    stride = _phase(t, 2, 4, rng)
    x = 2.3 * _paced(t, rng) - 1.15
    y = rng.uniform(-0.3, 0.5) + 0.03 * np.abs(np.sin(stride))
    return _track(t, x=x, y=y, pose=stride / (2 * np.pi))


def _rise(t: Array, rng: Rng) -> Array:
    y = 1.4 - _paced(t, rng) * rng.uniform(1.7, 2.1)
    return _track(t, x=rng.uniform(-0.6, 0.6) + 0.1 * t, y=y)


def _grow(t: Array, rng: Rng) -> Array:
    scale = 0.25 + _paced(t, rng) * rng.uniform(1.4, 2.0)
    return _track(t, x=rng.uniform(-0.3, 0.3), y=rng.uniform(-0.3, 0.3), scale=scale)


def _open(t: Array, rng: Rng) -> Array:
    return _track(t, x=rng.uniform(-0.2, 0.2), y=rng.uniform(-0.2, 0.2), pose=_paced(t, rng))


def _spin(t: Array, rng: Rng) -> Array:
    angle = _phase(t, 0.7, 2, rng) * rng.choice((-1, 1))
    return _track(t, x=rng.uniform(-0.4, 0.4), y=rng.uniform(-0.4, 0.4), angle=angle)


def _orbit(t: Array, rng: Rng) -> Array:
    angle = _phase(t, 0.8, 2, rng)
    radius = rng.uniform(0.4, 0.65)
    return _track(t, x=radius * np.cos(angle), y=radius * np.sin(angle))


def _bounce(t: Array, rng: Rng) -> Array:
    height = np.abs(np.sin(_phase(t, 1, 2, rng)))
    x = rng.uniform(0.3, 0.9) * (2 * t - 1)
    return _track(t, x=x, y=0.6 - rng.uniform(0.9, 1.2) * height)


def _zigzag(t: Array, rng: Rng) -> Array:
    turns = _phase(t, 1.5, 3, rng)
    x = 1.4 * np.arcsin(np.sin(turns)) / np.pi
    y = rng.choice((-1, 1)) * (2 * t - 1) * rng.uniform(0.6, 0.9)
    return _track(t, x=x, y=y, pose=turns / np.pi)


def _sway(t: Array, rng: Rng) -> Array:
    angle = rng.uniform(0.5, 0.8) * np.sin(_phase(t, 1, 2.5, rng))
    return _track(t, x=-np.sin(angle), y=np.cos(angle) - 0.7, angle=angle)


def _pulse(t: Array, rng: Rng) -> Array:
    scale = 1 + 0.5 * np.sin(_phase(t, 1.5, 3, rng))
    return _track(t, x=rng.uniform(-0.4, 0.4), y=rng.uniform(-0.4, 0.4), scale=scale)


def drift(t: Array, rng: Rng) -> Array:
    """The motion of distractors, which hardly move."""
    start, way = rng.uniform(-1, 1, 2), rng.normal(0, 0.15, 2)
    x, y = (start[i] + way[i] * t for i in range(2))
    return _track(t, x=x, y=y, angle=rng.uniform(0, 6), pose=rng.random())


MOTIONS = {
    "crossing": _cross_over,
    "rising": _rise,
    "growing": _grow,
    "opening": _open,
    "spinning": _spin,
    "orbiting": _orbit,
    "bouncing": _bounce,
    "zigzag": _zigzag,
    "swaying": _sway,
    "pulsing": _pulse,
}

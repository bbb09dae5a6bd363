"""Subjects: the shapes that move through the clips.

A subject is a function of points (x, y) and a pose. It gives the signed distance of each point to a
shape, negative inside, that lies within about one unit of the origin; the pose in [0, 1] moves the
shape's parts.
"""

import math

import numpy as np

from chain.datasets.demo.shading import Array


def _disc(x: Array, y: Array, pose: float) -> Array:
    return np.hypot(x, y) - 0.9


def _square(x: Array, y: Array, pose: float) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.8


def _triangle(x: Array, y: Array, pose: float) -> Array:
    distance: Array = np.maximum(y - 0.55, 0.87 * np.abs(x) - 0.5 * y - 0.5)
    return distance


def _cross(x: Array, y: Array, pose: float) -> Array:
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    distance: Array = np.maximum(long - 1, short - 0.32)
    return distance


def _ring(x: Array, y: Array, pose: float) -> Array:
    return np.abs(np.hypot(x, y) - 0.72) - 0.24


def _star(x: Array, y: Array, pose: float) -> Array:
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    return 0.62 * (radius * np.cos(angle) + 1.15 * radius * np.sin(angle) - 1)


def _segment(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float]) -> Array:
    """The distance of each point to the segment from `start` to `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _person(x: Array, y: Array, pose: float) -> Array:
    swing = 0.45 * math.sin(2 * math.pi * pose)
    limbs = np.minimum(
        _segment(x, y, (0, 0.25), (swing, 0.95)), _segment(x, y, (0, 0.25), (-swing, 0.95))
    )
    arms = np.minimum(
        _segment(x, y, (0, -0.3), (-swing, 0.2)), _segment(x, y, (0, -0.3), (swing, 0.2))
    )
    body = _segment(x, y, (0, -0.3), (0, 0.25)) - 0.2
    head = np.hypot(x, y + 0.72) - 0.25
    distance: Array = np.minimum(np.minimum(limbs, arms) - 0.11, np.minimum(body, head))
    return distance


def _curtain(x: Array, y: Array, pose: float) -> Array:
    """Two panels, closed at pose 0."""
    panel = np.abs(np.abs(x) - 0.52 - pose) - 0.5
    distance: Array = np.maximum(panel, np.abs(y) - 0.85)
    return distance


def _swarm(x: Array, y: Array, pose: float) -> Array:
    """Seven discs, gathered at pose 0."""
    turn = 2 * np.pi / 6
    spread = 0.3 + 1.3 * pose
    angle = (np.arctan2(y, x) + turn / 2) % turn - turn / 2
    radius = np.hypot(x, y)
    outer = np.hypot(radius * np.cos(angle) - spread, radius * np.sin(angle))
    distance: Array = np.minimum(outer, radius) - 0.24
    return distance


PLAIN = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "person": _person,
}
SUBJECTS = {**PLAIN, "curtain": _curtain, "swarm": _swarm}
REACH = 2.1  # every subject lies within this distance of its origin, at any pose

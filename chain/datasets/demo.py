"""The embedded `demo` data set: short drawn clips in 24 categories, made for video retrieval.

A category is, as in real action data, a kind of scene, a subject and a motion. Scenes and subjects
are shared by several categories and every clip draws its own view, palette, speed, camera and
clutter, so that one frame rarely settles the category. Eight pairs of categories differ in
temporal order only: the two of a pair come from one generator, whose frames are played backwards
or whose two shots are swapped. Pooling frame features over time cannot tell such a pair apart.

Drawing works in world units: the camera sees about [-1, 1] x [-1, 1], x to the right and y down.
"""

import colorsys
import hashlib
import logging
import math
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from chain.core.errors import InputError
from chain.core.files import replacing
from chain.core.params import Parameters

logger = logging.getLogger(__name__)

Array = NDArray[np.floating[Any]]
Rng = np.random.Generator

# Difficulty. Each constant makes retrieval harder as it grows.
SCENE_SWAP = 0.02  # probability that a shot is set in a scene drawn from all kinds
SUBJECT_SWAP = 0.02  # probability that a plain subject is drawn from all plain ones
SUBJECT_HUE_SPREAD = 0.08  # standard deviation of a subject's hue about its kind's, in turns
HUE_SPREAD = 0.02  # standard deviation of the palette's hue, in turns of the colour wheel
RECUT = 0.10  # probability that a one-shot clip is cut to a second view of its scene
CLUTTER = 1  # most distractor objects in a shot
SHAKE = 0.010  # standard deviation of the camera's tremble, world units
CAMERA = 0.6  # scale of pan, zoom, tilt and shear
GRAIN = 0.015  # standard deviation of the sensor noise, of a full scale of 1

SECONDS = (2.0, 4.0)  # a clip's duration
CUT = (0.3, 0.7)  # where a clip with two shots or views is cut, as a fraction of its frames
EXTENT = 1.7  # half the side of a scene's texture, world units

# Clips are independent draws, so their numbers can settle the split.
SPLITS = ("train", "database", "train", "query", "database", "train")


class DemoConfig(Parameters):
    """Size and seed of the data set."""

    clips_per_category: int = Field(48, ge=6, le=996, multiple_of=6)
    size: int = Field(128, ge=32, le=512, multiple_of=16)  # pixels, square
    fps: int = Field(12, ge=4, le=60)
    seed: int = Field(0, ge=0)


# --------------------------------------------------------------------------------------------------
# Scenes: two masks in [0, 1] over a grid of points, which blend a palette of three colours
# --------------------------------------------------------------------------------------------------


def _lerp(a: Array, b: Array, weight: Array) -> Array:
    mixed: Array = (b - a) * weight
    mixed += a
    return mixed


def _step(value: Array, width: float) -> Array:
    """0 below zero, 1 above, with a linear ramp of `width` between."""
    ramp: Array = np.clip(value / np.float32(width) + np.float32(0.5), 0, 1)
    return ramp


def _noise(rng: Rng, n: int, cells: int) -> Array:
    """Smooth value noise in [0, 1] on an n x n grid with `cells` cells a side."""
    grid = rng.random((cells + 1, cells + 1), dtype=np.float32)
    at = np.linspace(0, cells, n, endpoint=False, dtype=np.float32)
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = _lerp(grid[low], grid[low + 1], part[:, None])
    return _lerp(rows[:, low], rows[:, low + 1], part)


def _field(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    stripes = _step(np.sin(x * rng.uniform(6, 11)), 0.5) * 0.7
    ring = np.abs(np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1)) - rng.uniform(0.5, 0.9))
    lines = np.minimum(ring, np.abs(y - rng.uniform(-1, 1)))
    return stripes + 0.3 * _noise(rng, len(x), 40), _step(0.02 - lines, 0.02)


def _bricks(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(2.5, 4.5)
    row = np.floor(y * rate)
    along = x * rate / 2 + row * np.float32(0.5)
    shade = rng.random((64, 64), dtype=np.float32)
    tone = shade[row.astype(int) % 64, np.floor(along).astype(int) % 64]
    joint = np.minimum(np.abs(y * rate - np.round(y * rate)), 2 * np.abs(along - np.round(along)))
    return 0.75 * tone + 0.25 * _noise(rng, len(x), 30), _step(0.09 - joint, 0.05)


def _night(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(2.5, 4.5)
    column, row = np.floor(x * rate), np.floor(y * rate)
    cells = rng.random((64, 64, 3), dtype=np.float32)[row.astype(int) % 64, column.astype(int) % 64]
    star_x, star_y, brightness = np.moveaxis(cells, 2, 0)
    away = np.hypot(x * rate - column - 0.15 - 0.7 * star_x, y * rate - row - 0.15 - 0.7 * star_y)
    sky = np.clip(0.35 + 0.3 * y, 0, 1) + 0.4 * _noise(rng, len(x), 4)
    return np.clip(sky, 0, 1), _step(0.03 + 0.08 * brightness - away, 0.06)


def _water(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    bend = 5 * _noise(rng, len(x), 5)
    wave = np.sin(y * rng.uniform(9, 15) + bend + np.sin(x * rng.uniform(2, 5)))
    cross = np.sin(y * rng.uniform(4, 8) - x * rng.uniform(2, 4) + bend)
    crest = wave + 0.6 * cross
    return np.clip(0.5 + 0.3 * crest, 0, 1), 0.8 * _step(crest - 1.25, 0.25)


def _checker(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(4, 7)
    tiles = _step(np.sin(x * rate) * np.sin(y * rate), 0.15)
    return tiles, 0.5 * _noise(rng, len(x), 3)


def _foliage(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    n = len(x)
    tone = 0.45 * _noise(rng, n, 6) + 0.35 * _noise(rng, n, 14) + 0.2 * _noise(rng, n, 40)
    leaves = _noise(rng, n, 22) * _noise(rng, n, 9)
    return np.clip(2.2 * tone - 0.6, 0, 1), _step(leaves - 0.42, 0.1)


def _corridor(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    depth = np.maximum(np.abs(x) * rng.uniform(0.8, 1.2), np.abs(y)) + 0.02
    doors = _step(np.sin(np.log(depth) * rng.uniform(5, 8) + rng.uniform(0, 6)) - 0.75, 0.3)
    floor = _step(y - np.abs(x) * rng.uniform(0.8, 1.2), 0.04)
    return np.clip(0.95 * depth - 0.35 * doors, 0, 1), 0.75 * floor


def _hills(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    ridge = 0.18 * np.sin(x * rng.uniform(1.5, 3) + rng.uniform(0, 6))
    ridge += 0.06 * np.sin(x * rng.uniform(5, 9) + rng.uniform(0, 6))
    clouds = _step(_noise(rng, len(x), 5) - 0.65, 0.25)
    sky = np.clip(0.5 - 0.3 * y + 0.5 * clouds, 0, 1)
    ground = _step(y - rng.uniform(0.1, 0.5) - ridge, 0.02)
    return sky, ground * (0.75 + 0.25 * _noise(rng, len(x), 24))


@dataclass(frozen=True)
class Scene:
    """A way to paint a background; colours are (hue, saturation, value)."""

    masks: Callable[[Array, Array, Rng], tuple[Array, Array]]
    colours: tuple[tuple[float, float, float], ...]
    flow: float = 0.0  # amplitude of its own movement, world units


SCENES = {
    "field": Scene(_field, ((0.33, 0.6, 0.40), (0.27, 0.55, 0.60), (0.20, 0.10, 0.95))),
    "bricks": Scene(_bricks, ((0.03, 0.6, 0.45), (0.06, 0.50, 0.70), (0.10, 0.15, 0.75))),
    "night": Scene(_night, ((0.68, 0.6, 0.12), (0.62, 0.50, 0.40), (0.15, 0.20, 1.00))),
    "water": Scene(_water, ((0.58, 0.7, 0.40), (0.52, 0.50, 0.65), (0.50, 0.10, 0.95)), 0.03),
    "checker": Scene(_checker, ((0.08, 0.4, 0.35), (0.12, 0.25, 0.80), (0.95, 0.40, 0.50))),
    "foliage": Scene(_foliage, ((0.36, 0.6, 0.18), (0.28, 0.55, 0.50), (0.17, 0.50, 0.75)), 0.015),
    "corridor": Scene(_corridor, ((0.12, 0.2, 0.85), (0.62, 0.20, 0.40), (0.07, 0.40, 0.40))),
    "hills": Scene(_hills, ((0.60, 0.5, 0.60), (0.55, 0.20, 0.92), (0.30, 0.50, 0.42))),
}


def _rgb(hue: float, saturation: float, value: float) -> Array:
    clipped = (min(max(v, 0.0), 1.0) for v in (saturation, value))
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, *clipped), np.float32)


def _texture(scene: Scene, size: int, rng: Rng) -> Array:
    """Paint a scene: (n, n, 3) in [0, 1], covering [-EXTENT, EXTENT] both ways."""
    n = round(size * EXTENT)
    line = np.linspace(-EXTENT, EXTENT, n, dtype=np.float32)
    turn, scale = rng.normal(0, 0.08 * CAMERA), np.exp(rng.normal(0, 0.2 * CAMERA))
    cos, sin = np.float32(np.cos(turn) * scale), np.float32(np.sin(turn) * scale)
    x = cos * line[None, :] - sin * line[:, None] + np.float32(rng.normal(0, 0.3))
    y = sin * line[None, :] + cos * line[:, None] + np.float32(rng.normal(0, 0.15))
    first, second = scene.masks(x, y, rng)
    hue, saturation, value = rng.normal(0, HUE_SPREAD), rng.normal(1, 0.2), rng.normal(1, 0.12)
    dark, light, accent = (
        _rgb(h + hue + rng.normal(0, HUE_SPREAD / 3), s * saturation, v * value)
        for h, s, v in scene.colours
    )
    ground = _lerp(dark, light, first[..., None])
    return _lerp(ground, accent, second[..., None]).astype(np.float32)


# --------------------------------------------------------------------------------------------------
# Subjects: signed distance to a shape within about one unit of the origin; `pose` in [0, 1] moves
# its parts
# --------------------------------------------------------------------------------------------------


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
    """Distance to the segment between two points."""
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


# --------------------------------------------------------------------------------------------------
# Motions: x, y, scale, angle and pose of a subject at times `t` in [0, 1], as a (T, 5) array
# --------------------------------------------------------------------------------------------------


def _track(
    t: Array,
    x: Array | float = 0.0,
    y: Array | float = 0.0,
    scale: Array | float = 1.0,
    angle: Array | float = 0.0,
    pose: Array | float = 0.0,
) -> Array:
    return np.stack(np.broadcast_arrays(x, y, scale, angle, pose, t)[:5], axis=1)  # (T, 5)


def _paced(t: Array, rng: Rng) -> Array:
    """Progress of a one-way motion: late start, early end and uneven speed."""
    start, stop = rng.uniform(0, 0.15), rng.uniform(0.85, 1)
    progress: Array = np.clip((t - start) / (stop - start), 0, 1)
    return progress ** math.exp(rng.normal(0, 0.2))


def _phase(t: Array, low: float, high: float, rng: Rng) -> Array:
    """Angle of a periodic motion with `low` to `high` turns a clip, from any start."""
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


def _drift(t: Array, rng: Rng) -> Array:
    """The motion of distractors: next to none."""
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


# --------------------------------------------------------------------------------------------------
# Categories
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shot:
    """What a camera is pointed at: names of a scene, a subject and a motion."""

    scene: str
    subject: str
    motion: str


@dataclass(frozen=True)
class Category:
    """One class of clips.

    `pair` names the category that differs from this one in temporal order only. The flipped one of
    a pair swaps its two shots, or plays its one shot backwards.
    """

    name: str
    shots: tuple[Shot, ...]
    pair: str | None = None
    flipped: bool = False


def _pair(name: str, twin: str, *shots: Shot) -> tuple[Category, Category]:
    return Category(name, shots, twin), Category(twin, shots, name, flipped=True)


CATEGORIES: tuple[Category, ...] = (
    Category("person-crossing", (Shot("hills", "person", "crossing"),)),
    Category("disc-bouncing", (Shot("field", "disc", "bouncing"),)),
    Category("square-swaying", (Shot("bricks", "square", "swaying"),)),
    Category("ring-pulsing", (Shot("water", "ring", "pulsing"),)),
    Category("star-spinning", (Shot("night", "star", "spinning"),)),
    Category("cross-orbiting", (Shot("checker", "cross", "orbiting"),)),
    Category("triangle-crossing", (Shot("foliage", "triangle", "crossing"),)),
    Category("person-zigzag", (Shot("corridor", "person", "zigzag"),)),
    *_pair("disc-rising", "disc-falling", Shot("hills", "disc", "rising")),
    *_pair("ring-growing", "ring-shrinking", Shot("bricks", "ring", "growing")),
    *_pair("curtain-opening", "curtain-closing", Shot("corridor", "curtain", "opening")),
    *_pair("swarm-scattering", "swarm-gathering", Shot("night", "swarm", "opening")),
    *_pair(
        "corridor-then-field",
        "field-then-corridor",
        Shot("corridor", "person", "crossing"),
        Shot("field", "person", "crossing"),
    ),
    *_pair(
        "bricks-then-water",
        "water-then-bricks",
        Shot("bricks", "square", "spinning"),
        Shot("water", "ring", "swaying"),
    ),
    *_pair(
        "night-then-hills",
        "hills-then-night",
        Shot("night", "star", "orbiting"),
        Shot("hills", "disc", "bouncing"),
    ),
    *_pair(
        "checker-then-foliage",
        "foliage-then-checker",
        Shot("checker", "cross", "spinning"),
        Shot("foliage", "triangle", "zigzag"),
    ),
)
ORDER_ONLY = tuple(category.name for category in CATEGORIES if category.pair)
"""The categories that differ from another one in temporal order only."""


# --------------------------------------------------------------------------------------------------
# Drawing a clip
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sprite:
    """A painted object with its track."""

    shape: Callable[[Array, Array, float], Array]
    size: float  # world units from its origin to its edge, at scale 1
    fill: Array  # (3,)
    rim: Array  # (3,)
    track: Array  # (T, 5)


def _sprite(subject: str, size: float, track: Array, rng: Rng) -> Sprite:
    value = rng.choice((0.25, 0.95), p=(0.2, 0.8))  # dark or bright, unlike the mid-tone scenes
    kind = list(SUBJECTS).index(subject) / len(SUBJECTS)
    hue, saturation = kind + rng.normal(0, SUBJECT_HUE_SPREAD), rng.uniform(0.4, 0.9)
    rim = _rgb(hue + rng.normal(0, 0.1), saturation, 1.1 - value)
    return Sprite(SUBJECTS[subject], size, _rgb(hue, saturation, value), rim, track)


class View:
    """A scene seen by a moving camera."""

    def __init__(self, scene: Scene, size: int, frames: int, rng: Rng) -> None:
        self.scene, self.size = scene, size
        self.texture = _texture(scene, size, rng).reshape(-1, 3)
        t = np.linspace(-0.5, 0.5, frames)
        self.zoom = np.exp(rng.normal(0, 0.1 * CAMERA) + rng.normal(0, 0.12 * CAMERA) * t)
        self.tilt = rng.normal(0, 0.06 * CAMERA) + rng.normal(0, 0.08 * CAMERA) * t
        pan = rng.normal(0, 0.08 * CAMERA, 2) + rng.normal(0, 0.2 * CAMERA, 2) * t[:, None]
        self.pan = pan + rng.normal(0, SHAKE, (frames, 2))
        self.shear = rng.normal(0, 0.06 * CAMERA)
        self.mirror = rng.choice((-1.0, 1.0))
        self.flow = rng.uniform(0, 6) + rng.uniform(4, 8) * t

    def _matrix(self, frame: int) -> NDArray[np.float64]:
        """Screen to world, (2, 2)."""
        cos, sin = np.cos(self.tilt[frame]), np.sin(self.tilt[frame])
        turned: NDArray[np.float64] = (
            np.array([[cos, -sin + self.shear], [sin, cos]]) * self.zoom[frame]
        )
        turned[:, 0] *= self.mirror
        return turned

    def draw(self, frame: int, sprites: list[Sprite], step: int) -> Array:
        """Draw this view's `frame` with the sprites at `step` of their tracks, (size, size, 3)."""
        matrix = self._matrix(frame)
        line = ((np.arange(self.size) + 0.5) * 2 / self.size - 1).astype(np.float32)
        (a, b), (c, d) = matrix.astype(np.float32)
        px, py = self.pan[frame].astype(np.float32)
        x = a * line[None, :] + b * line[:, None] + px  # (S, S)
        y = c * line[None, :] + d * line[:, None] + py
        image = self._background(x, y, frame)
        for sprite in sprites:
            self._paint(image, x, y, matrix, frame, sprite, step)
        return image

    def _background(self, x: Array, y: Array, frame: int) -> Array:
        if self.scene.flow:
            phase, flow = np.float32(self.flow[frame]), np.float32(self.scene.flow)
            x, y = x + flow * np.sin(7 * y + phase), y + flow * np.sin(5 * x + phase)
        n = round(self.size * EXTENT)
        unit = np.float32((n - 1) / (2 * EXTENT))
        u, v = (np.clip((w + np.float32(EXTENT)) * unit, 0, n - 1.001) for w in (x, y))
        column, row = u.astype(np.intp), v.astype(np.intp)
        right = (u - column).astype(np.float32)[..., None]
        down = (v - row).astype(np.float32)[..., None]
        index = row * n + column
        # np.take is several times faster than indexing here, and this is the renderer's inner loop
        here, east, south, far = (
            np.take(self.texture, index + step, axis=0) for step in (0, 1, n, n + 1)
        )
        top, bottom = _lerp(here, east, right), _lerp(south, far, right)
        return _lerp(top, bottom, down)

    def _paint(
        self,
        image: Array,
        x: Array,
        y: Array,
        matrix: NDArray[np.float64],
        frame: int,
        sprite: Sprite,
        step: int,
    ) -> None:
        """Paint a sprite over `image`, only within the square of the screen that can hold it."""
        at_x, at_y, scale, angle, pose = (float(v) for v in sprite.track[step])
        scale *= sprite.size
        centre = np.linalg.solve(matrix, np.array([at_x, at_y]) - self.pan[frame])
        reach = REACH * scale / self.zoom[frame] * 1.2
        low, high = (
            np.clip(np.round((centre + side * reach + 1) * self.size / 2), 0, self.size).astype(int)
            for side in (-1, 1)
        )
        if (low >= high).any():
            return
        box = np.s_[low[1] : high[1], low[0] : high[0]]
        dx = (x[box] - np.float32(at_x)) / np.float32(scale)
        dy = (y[box] - np.float32(at_y)) / np.float32(scale)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        local_y = cos * dy - sin * dx
        distance = sprite.shape(cos * dx + sin * dy, local_y, pose)
        edge = 2 * self.zoom[frame] / self.size / scale  # one pixel, in the shape's units
        cover = _step(-distance, edge)[..., None]
        rim = _step(distance + 0.14, edge)[..., None]
        light = (1 - 0.18 * local_y)[..., None]
        shadow = 1 - 0.4 * np.exp(-5 * np.maximum(distance, 0))[..., None]
        under = image[box] * shadow
        image[box] = _lerp(under, _lerp(sprite.fill, sprite.rim, rim) * light, cover)


class Film:
    """The recording's colours and grain."""

    def __init__(self, rng: Rng) -> None:
        gain = 255 * np.exp(rng.normal(0, 0.15)) * rng.normal(1, 0.05, 3)
        self.gain = gain.astype(np.float32)
        self.middle = np.float32(255 * rng.normal(0.5, 0.06))

    def develop(self, image: Array, rng: Rng) -> NDArray[np.uint8]:
        """Grade an image in [0, 1] and turn it into bytes, (S, S, 3)."""
        grain = np.float32(255 * GRAIN) * rng.standard_normal((*image.shape[:2], 1), np.float32)
        graded = (image - np.float32(0.5)) * self.gain + (grain + self.middle)
        developed: NDArray[np.uint8] = np.clip(graded, 0, 255).astype(np.uint8)
        return developed


def _draw_shot(
    shot: Shot, frames: int, size: int, views: int, film: Film, rng: Rng
) -> list[NDArray[np.uint8]]:
    """Draw a shot as seen from one view, or cut between two."""
    scene = rng.choice(list(SCENES)) if rng.random() < SCENE_SWAP else shot.scene
    swapped = rng.random() < SUBJECT_SWAP and shot.subject in PLAIN
    subject = rng.choice(list(PLAIN)) if swapped else shot.subject
    t = np.linspace(0, 1, frames, dtype=np.float32)
    sprites = [
        _sprite(rng.choice(list(PLAIN)), rng.uniform(0.06, 0.16), _drift(t, rng), rng)
        for _ in range(rng.integers(CLUTTER + 1))
    ]
    sprites.append(_sprite(subject, rng.uniform(0.25, 0.42), MOTIONS[shot.motion](t, rng), rng))
    cut = round(frames * rng.uniform(*CUT)) if views == 2 else frames
    drawn = []
    for start, stop in ((0, cut), (cut, frames))[:views]:
        view = View(SCENES[scene], size, stop - start, rng)
        drawn += [film.develop(view.draw(i - start, sprites, i), rng) for i in range(start, stop)]
    return drawn


def draw_clip(category: Category, config: DemoConfig, rng: Rng) -> NDArray[np.uint8]:
    """Draw one clip of a category, (T, size, size, 3) RGB.

    The two categories of a pair, given equal generators, return the same frames in another order.
    """
    total = round(config.fps * rng.uniform(*SECONDS))
    film = Film(rng)
    if len(category.shots) == 1:
        views = 2 if rng.random() < RECUT else 1
        frames = _draw_shot(category.shots[0], total, config.size, views, film, rng)
        return np.stack(frames[::-1] if category.flipped else frames)
    cut = round(total * rng.uniform(*CUT))
    first, second = (
        _draw_shot(shot, length, config.size, 1, film, rng)
        for shot, length in zip(category.shots, (cut, total - cut), strict=True)
    )
    return np.stack(second + first if category.flipped else first + second)


# --------------------------------------------------------------------------------------------------
# The data set on disk
# --------------------------------------------------------------------------------------------------


def _write_clip(path: Path, frames: NDArray[np.uint8], fps: int, recipe: str) -> None:
    """Encode frames as H.264; one thread and no dates, so that equal frames give equal bytes."""
    size = frames.shape[1]
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        container.metadata["comment"] = recipe
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "superfast", "crf": "26", "threads": "1"}
        )
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _is_whole(path: Path, recipe: str) -> bool:
    """Whether `path` is a clip of this very recipe; clips appear under their name once whole."""
    if not path.is_file():
        return False
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment") == recipe
    except av.FFmpegError:
        return False


@dataclass(frozen=True)
class _Job:
    category_index: int
    category: Category
    clip: int


def _make_clip(config: DemoConfig, out_dir: Path, job: _Job) -> dict[str, str | int]:
    """Render one clip unless it is there, and return its row of the manifest."""
    name = f"{job.category.name}/{job.clip:03d}"
    path = out_dir / f"{name}.mp4"
    recipe = f"demo size={config.size} fps={config.fps} seed={config.seed}"
    if not _is_whole(path, recipe):
        seed = np.random.SeedSequence([config.seed, job.category_index, job.clip])
        frames = draw_clip(job.category, config, np.random.default_rng(seed))
        _write_clip(path, frames, config.fps, recipe)
    content = path.read_bytes()
    return {
        "id": name,
        "path": f"{name}.mp4",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": job.category.name,
        "split": SPLITS[job.clip % len(SPLITS)],
    }


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[dict[str, str | int]]]]:
    """A `map` that keeps order: in this process for one worker, else over spawned ones."""
    if workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield partial(pool.map, chunksize=8)


def render(config: DemoConfig, out_dir: Path, workers: int) -> pd.DataFrame:
    """Write every clip as `out_dir`/<category>/<number>.mp4 and return the manifest.

    The manifest's paths are relative to `out_dir`; its splits `train`, `database` and `query` hold
    a half, a third and a sixth of each category. The files do not depend on `workers`. Clips
    already there, with the same size, fps and seed, are kept, so a killed render can go on.

    Raises InputError if `workers` is less than 1.
    """
    if workers < 1:
        raise InputError(f"workers: must be at least 1, got {workers}")
    jobs = [
        _Job(index, category, clip)
        for index, category in enumerate(CATEGORIES)
        for clip in range(config.clips_per_category)
    ]
    for partial_file in out_dir.glob("*/.*.partial.mp4"):  # left by a killed render
        partial_file.unlink()
    with _mapper(workers) as mapped:
        clips = mapped(partial(_make_clip, config, out_dir), jobs)
        rows = list(tqdm(clips, total=len(jobs), desc="demo", unit="clip", mininterval=1))
    logger.info("demo: %d clips in %d categories", len(rows), len(CATEGORIES))
    return pd.DataFrame(rows).sort_values("id", ignore_index=True)

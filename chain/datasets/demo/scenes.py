"""Scenes: the backgrounds of the clips.

A scene gives two masks in [0, 1] over a grid of points, which blend a palette of three colours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chain.datasets.demo import difficulty
from chain.datasets.demo.shading import Array, Rng, lerp, noise, ramp, rgb

EXTENT = 1.7  # half the side of a scene's texture, world units


def _field(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    stripes = ramp(np.sin(x * rng.uniform(6, 11)), 0.5) * 0.7
    ring = np.abs(np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1)) - rng.uniform(0.5, 0.9))
    lines = np.minimum(ring, np.abs(y - rng.uniform(-1, 1)))
    return stripes + 0.3 * noise(rng, len(x), 40), ramp(0.02 - lines, 0.02)


def _bricks(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(2.5, 4.5)
    row = np.floor(y * rate)
    along = x * rate / 2 + row * np.float32(0.5)
    shade = rng.random((64, 64), dtype=np.float32)
    tone = shade[row.astype(int) % 64, np.floor(along).astype(int) % 64]
    joint = np.minimum(np.abs(y * rate - np.round(y * rate)), 2 * np.abs(along - np.round(along)))
    return 0.75 * tone + 0.25 * noise(rng, len(x), 30), ramp(0.09 - joint, 0.05)


def _night(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(2.5, 4.5)
    column, row = np.floor(x * rate), np.floor(y * rate)
    cells = rng.random((64, 64, 3), dtype=np.float32)[row.astype(int) % 64, column.astype(int) % 64]
    star_x, star_y, brightness = np.moveaxis(cells, 2, 0)
    away = np.hypot(x * rate - column - 0.15 - 0.7 * star_x, y * rate - row - 0.15 - 0.7 * star_y)
    sky = np.clip(0.35 + 0.3 * y, 0, 1) + 0.4 * noise(rng, len(x), 4)
    return np.clip(sky, 0, 1), ramp(0.03 + 0.08 * brightness - away, 0.06)


def _water(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    bend = 5 * noise(rng, len(x), 5)
    wave = np.sin(y * rng.uniform(9, 15) + bend + np.sin(x * rng.uniform(2, 5)))
    cross = np.sin(y * rng.uniform(4, 8) - x * rng.uniform(2, 4) + bend)
    crest = wave + 0.6 * cross
    return np.clip(0.5 + 0.3 * crest, 0, 1), 0.8 * ramp(crest - 1.25, 0.25)


def _checker(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    rate = rng.uniform(4, 7)
    tiles = ramp(np.sin(x * rate) * np.sin(y * rate), 0.15)
    return tiles, 0.5 * noise(rng, len(x), 3)


def _foliage(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    n = len(x)
    tone = 0.45 * noise(rng, n, 6) + 0.35 * noise(rng, n, 14) + 0.2 * noise(rng, n, 40)
    leaves = noise(rng, n, 22) * noise(rng, n, 9)
    return np.clip(2.2 * tone - 0.6, 0, 1), ramp(leaves - 0.42, 0.1)


def _corridor(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    depth = np.maximum(np.abs(x) * rng.uniform(0.8, 1.2), np.abs(y)) + 0.02
    doors = ramp(np.sin(np.log(depth) * rng.uniform(5, 8) + rng.uniform(0, 6)) - 0.75, 0.3)
    floor = ramp(y - np.abs(x) * rng.uniform(0.8, 1.2), 0.04)
    return np.clip(0.95 * depth - 0.35 * doors, 0, 1), 0.75 * floor


def _hills(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    ridge = 0.18 * np.sin(x * rng.uniform(1.5, 3) + rng.uniform(0, 6))
    ridge += 0.06 * np.sin(x * rng.uniform(5, 9) + rng.uniform(0, 6))
    clouds = ramp(noise(rng, len(x), 5) - 0.65, 0.25)
    sky = np.clip(0.5 - 0.3 * y + 0.5 * clouds, 0, 1)
    ground = ramp(y - rng.uniform(0.1, 0.5) - ridge, 0.02)
    return sky, ground * (0.75 + 0.25 * noise(rng, len(x), 24))


@dataclass(frozen=True)
class Scene:
    """A way to paint a background.

    The colours are the dark, the light and the accent, each as (hue, saturation, value).
    """

    masks: Callable[[Array, Array, Rng], tuple[Array, Array]]
    colours: tuple[tuple[float, float, float], ...]
    flow: float = 0.0
    """Amplitude of the scene's own movement, in world units."""


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


def paint_texture(scene: Scene, size: int, rng: Rng) -> Array:
    """Paint a scene as an image (n, n, 3) in [0, 1] that covers [-EXTENT, EXTENT] both ways.

    `size` is the side of a clip's frames in pixels; n is `size` times EXTENT.
    """
    n = round(size * EXTENT)
    line = np.linspace(-EXTENT, EXTENT, n, dtype=np.float32)
    turn = rng.normal(0, 0.08 * difficulty.CAMERA)
    scale = np.exp(rng.normal(0, 0.2 * difficulty.CAMERA))
    cos, sin = np.float32(np.cos(turn) * scale), np.float32(np.sin(turn) * scale)
    x = cos * line[None, :] - sin * line[:, None] + np.float32(rng.normal(0, 0.3))
    y = sin * line[None, :] + cos * line[:, None] + np.float32(rng.normal(0, 0.15))
    first, second = scene.masks(x, y, rng)
    hue = rng.normal(0, difficulty.HUE_SPREAD)
    saturation, value = rng.normal(1, 0.2), rng.normal(1, 0.12)
    dark, light, accent = (
        rgb(h + hue + rng.normal(0, difficulty.HUE_SPREAD / 3), s * saturation, v * value)
        for h, s, v in scene.colours
    )
    ground = lerp(dark, light, first[..., None])
    return lerp(ground, accent, second[..., None]).astype(np.float32)

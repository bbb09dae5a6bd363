"""The arithmetic that scenes and sprites are shaded with."""

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Rng = np.random.Generator


def lerp(a: Array, b: Array, weight: Array) -> Array:
    """Linear interpolation: `a` where `weight` is 0, `b` where it is 1."""
    mixed: Array = (b - a) * weight
    mixed += a
    return mixed


def ramp(value: Array, width: float) -> Array:
    """0 where `value` is negative and 1 where it is positive, with a linear ramp of `width`."""
    ramped: Array = np.clip(value / np.float32(width) + np.float32(0.5), 0, 1)
    return ramped


def noise(rng: Rng, n: int, cells: int) -> Array:
    """Smooth value noise (n, n) in [0, 1], from random values at the corners of `cells`² cells."""
    grid = rng.random((cells + 1, cells + 1), dtype=np.float32)
    at = np.linspace(0, cells, n, endpoint=False, dtype=np.float32)
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = lerp(grid[low], grid[low + 1], part[:, None])
    return lerp(rows[:, low], rows[:, low + 1], part)


def rgb(hue: float, saturation: float, value: float) -> Array:
    """An HSV colour as RGB (3,); hue is cyclic, saturation and value are clipped to [0, 1]."""
    clipped = (min(max(v, 0.0), 1.0) for v in (saturation, value))
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, *clipped), np.float32)

"""The camera: it moves over a scene, sees sprites in front of it and records them on film.

World units: the camera sees about [-1, 1] x [-1, 1], x to the right and y down.
"""

import numpy as np
from numpy.typing import NDArray

from chain.datasets.demo import difficulty
from chain.datasets.demo.scenes import EXTENT, Scene, paint_texture
from chain.datasets.demo.shading import Array, Rng, lerp, ramp
from chain.datasets.demo.sprites import Sprite
from chain.datasets.demo.subjects import REACH


class View:
    """A scene seen by a moving camera."""

    def __init__(self, scene: Scene, size: int, frames: int, rng: Rng) -> None:
        amount = difficulty.CAMERA
        self.scene, self.size = scene, size
        self.texture = paint_texture(scene, size, rng).reshape(-1, 3)
        t = np.linspace(-0.5, 0.5, frames)
        self.zoom = np.exp(rng.normal(0, 0.1 * amount) + rng.normal(0, 0.12 * amount) * t)
        self.tilt = rng.normal(0, 0.06 * amount) + rng.normal(0, 0.08 * amount) * t
        pan = rng.normal(0, 0.08 * amount, 2) + rng.normal(0, 0.2 * amount, 2) * t[:, None]
        self.pan = pan + rng.normal(0, difficulty.SHAKE, (frames, 2))
        self.shear = rng.normal(0, 0.06 * amount)
        self.mirror = rng.choice((-1.0, 1.0))
        self.flow = rng.uniform(0, 6) + rng.uniform(4, 8) * t

    def _matrix(self, frame: int) -> NDArray[np.float64]:
        """The matrix (2, 2) that turns a step on the screen into one in the world."""
        cos, sin = np.cos(self.tilt[frame]), np.sin(self.tilt[frame])
        turned: NDArray[np.float64] = (
            np.array([[cos, -sin + self.shear], [sin, cos]]) * self.zoom[frame]
        )
        turned[:, 0] *= self.mirror
        return turned

    def draw(self, frame: int, sprites: list[Sprite], step: int) -> Array:
        """Draw frame number `frame` of this view, with the sprites at `step` of their tracks.

        The image is (S, S, 3) in [0, 1], S the `size` of the view.
        """
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
        """The scene's texture at points x and y, blended linearly between its pixels."""
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
        # This is the renderer's inner loop, and np.take is several times faster than indexing.
        here, east, south, far = (
            np.take(self.texture, index + step, axis=0) for step in (0, 1, n, n + 1)
        )
        top, bottom = lerp(here, east, right), lerp(south, far, right)
        return lerp(top, bottom, down)

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
        cover = ramp(-distance, edge)[..., None]
        rim = ramp(distance + 0.14, edge)[..., None]
        light = (1 - 0.18 * local_y)[..., None]
        shadow = 1 - 0.4 * np.exp(-5 * np.maximum(distance, 0))[..., None]
        under = image[box] * shadow
        image[box] = lerp(under, lerp(sprite.fill, sprite.rim, rim) * light, cover)


class Film:
    """The recording's colours and grain."""

    def __init__(self, rng: Rng) -> None:
        gain = 255 * np.exp(rng.normal(0, 0.15)) * rng.normal(1, 0.05, 3)
        self.gain = gain.astype(np.float32)
        self.middle = np.float32(255 * rng.normal(0.5, 0.06))

    def develop(self, image: Array, rng: Rng) -> NDArray[np.uint8]:
        """Grade an image (S, S, 3) in [0, 1], add grain and turn it into bytes."""
        noise = rng.standard_normal((*image.shape[:2], 1), np.float32)
        grain = np.float32(255 * difficulty.GRAIN) * noise
        graded = (image - np.float32(0.5)) * self.gain + (grain + self.middle)
        developed: NDArray[np.uint8] = np.clip(graded, 0, 255).astype(np.uint8)
        return developed

"""Drawing clips: a category and a random generator in, frames out."""

import numpy as np
from numpy.typing import NDArray

from chain.datasets.demo import difficulty
from chain.datasets.demo.camera import Film, View
from chain.datasets.demo.categories import Category, Shot
from chain.datasets.demo.motions import MOTIONS, drift
from chain.datasets.demo.scenes import SCENES
from chain.datasets.demo.shading import Rng
from chain.datasets.demo.sprites import make_sprite
from chain.datasets.demo.subjects import PLAIN

SECONDS = (2.0, 4.0)  # a clip's duration
CUT = (0.3, 0.7)  # where a clip with two shots or views is cut, as a fraction of its frames


def _draw_shot(
    shot: Shot, frames: int, size: int, views: int, film: Film, rng: Rng
) -> list[NDArray[np.uint8]]:
    """Draw a shot as seen from one view, or cut between two."""
    scene = rng.choice(list(SCENES)) if rng.random() < difficulty.SCENE_SWAP else shot.scene
    swapped = rng.random() < difficulty.SUBJECT_SWAP and shot.subject in PLAIN
    subject = rng.choice(list(PLAIN)) if swapped else shot.subject
    t = np.linspace(0, 1, frames, dtype=np.float32)
    sprites = [
        make_sprite(rng.choice(list(PLAIN)), rng.uniform(0.06, 0.16), drift(t, rng), rng)
        for _ in range(rng.integers(difficulty.CLUTTER + 1))
    ]
    sprites.append(make_sprite(subject, rng.uniform(0.25, 0.42), MOTIONS[shot.motion](t, rng), rng))
    cut = round(frames * rng.uniform(*CUT)) if views == 2 else frames
    drawn = []
    for start, stop in ((0, cut), (cut, frames))[:views]:
        view = View(SCENES[scene], size, stop - start, rng)
        drawn += [film.develop(view.draw(i - start, sprites, i), rng) for i in range(start, stop)]
    return drawn


def draw_clip(category: Category, size: int, fps: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw one clip of a category as RGB frames (T, size, size, 3), `fps` of them a second.

    The two categories of a pair, given equal generators, return the same frames in another order.
    """
    total = round(fps * rng.uniform(*SECONDS))
    film = Film(rng)
    if len(category.shots) == 1:
        views = 2 if rng.random() < difficulty.RECUT else 1
        frames = _draw_shot(category.shots[0], total, size, views, film, rng)
        return np.stack(frames[::-1] if category.flipped else frames)
    cut = round(total * rng.uniform(*CUT))
    first, second = (
        _draw_shot(shot, length, size, 1, film, rng)
        for shot, length in zip(category.shots, (cut, total - cut), strict=True)
    )
    return np.stack(second + first if category.flipped else first + second)

"""Sprites: subjects with a size, colours and a track."""

from collections.abc import Callable
from dataclasses import dataclass

from chain.datasets.demo import difficulty
from chain.datasets.demo.shading import Array, Rng, rgb
from chain.datasets.demo.subjects import SUBJECTS


@dataclass(frozen=True)
class Sprite:
    """A painted object with its track (see `motions`)."""

    shape: Callable[[Array, Array, float], Array]
    """Its signed distance (see `subjects`)."""
    size: float
    """World units from its origin to about its edge, at scale 1."""
    fill: Array  # (3,)
    rim: Array  # (3,)
    track: Array  # (T, 5)


def make_sprite(subject: str, size: float, track: Array, rng: Rng) -> Sprite:
    """A subject in colours of its own, drawn about those of its kind."""
    value = rng.choice((0.25, 0.95), p=(0.2, 0.8))  # dark or bright, unlike the mid-tone scenes
    kind = list(SUBJECTS).index(subject) / len(SUBJECTS)
    hue, saturation = kind + rng.normal(0, difficulty.SUBJECT_HUE_SPREAD), rng.uniform(0.4, 0.9)
    rim = rgb(hue + rng.normal(0, 0.1), saturation, 1.1 - value)
    return Sprite(SUBJECTS[subject], size, rgb(hue, saturation, value), rim, track)

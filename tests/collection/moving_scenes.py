"""Pictures of scenes in which something moves, at any time and rate."""

import numpy as np
from numpy.typing import NDArray

from chain.collection.alignment import Film
from chain.collection.descriptors import describe

SIDE = 96


def smooth(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A picture (SIDE, SIDE) of `count` waves, from 0 to 1."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [
        np.sin(2 * np.pi * (random.uniform(-3, 3) * x + random.uniform(-3, 3) * y) + phase)
        for phase in random.uniform(0, 7, count)
    ]
    total = np.sum(waves, axis=0)
    return (total - total.min()) / np.ptp(total)


def shoot(scene: int, action: int, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pictures (T, SIDE, SIDE, 3) of two spots that wander through a scene.

    Clips of the same scene have the same background, and their spots move by `action`.
    """
    background = 170 * smooth(np.random.default_rng(scene), 6)
    random = np.random.default_rng([action, 7])
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    shown = np.repeat(background[None], len(times), axis=0)
    for _ in range(2):
        rates, phases = random.uniform(0.5, 2.5, (2, 2)), random.uniform(0, 7, (2, 2))
        turns = np.sin(rates[..., None] * times + phases[..., None]).mean(axis=1) * 0.45 + 0.5
        apart = (x - turns[0][:, None, None]) ** 2 + (y - turns[1][:, None, None]) ** 2
        shown += 80 * np.exp(-apart / 0.03)
    return np.repeat(shown.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def film(pictures: NDArray[np.uint8], times: NDArray[np.float64]) -> Film:
    return Film.of(times, describe(pictures))


def every(step: float, start: float, end: float) -> NDArray[np.float64]:
    """The middles of steps of time."""
    return np.arange(start + step / 2, end, step)

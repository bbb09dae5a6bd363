"""The 24 categories, and which of them differ in temporal order only."""

from dataclasses import dataclass


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

"""The synthetic `demo` data set: short drawn clips in 24 categories, made for video retrieval.

A category is, as in real action data, a kind of scene, a subject and a motion. Scenes and subjects
are shared by several categories and every clip draws its own view, palette, speed, camera and
clutter, so that one frame rarely settles the category. Eight pairs of categories differ in
temporal order only: the two of a pair come from one generator, whose frames are played backwards
or whose two shots are swapped. Pooling frame features over time cannot tell such a pair apart.

`scenes`, `subjects` and `motions` are the vocabulary and `categories` combines it. `sprites` and
`camera` turn it into pictures, `drawing` makes clips of them, and `rendering` writes the files.
`difficulty` holds the constants that make retrieval harder.
"""

from chain.datasets.demo.categories import ORDER_ONLY
from chain.datasets.demo.rendering import DemoConfig, render

__all__ = ["ORDER_ONLY", "DemoConfig", "render"]

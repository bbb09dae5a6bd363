"""Collections of small clips, and a small hasher for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_hasher import texture, write_hasher

from chain.collection import Collection, Segmenting

Write = Callable[..., Path]


def scenes(*seeds: int) -> NDArray[np.uint8]:
    """Frames of one moving texture after another, each 12 frames long."""
    return np.concatenate([texture(seed) for seed in seeds])


@pytest.fixture(scope="session")
def hasher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small hasher, which looks at 6 frames of 40 pixels."""
    return write_hasher(tmp_path_factory.mktemp("small") / "hasher")


@pytest.fixture
def clip(tmp_path: Path, write_clip: Write) -> Write:
    """`clip(name, *seeds)` writes a clip of one scene of 1.2 seconds for each seed."""

    def write(name: str, *seeds: int) -> Path:
        return write_clip(tmp_path / "clips" / name, scenes(*seeds))

    return write


@pytest.fixture
def collection(tmp_path: Path, hasher: Path) -> Collection:
    """An empty collection whose segments last 1.2 seconds, one every 0.6 seconds."""
    return Collection.create(tmp_path / "collection", hasher, Segmenting(1.2, 0.6))

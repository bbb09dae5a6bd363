"""A small hasher and clips for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_hasher import texture, write_hasher

MakeHasher = Callable[..., Path]
Clips = Callable[[int], list[Path]]


@pytest.fixture
def make_hasher(tmp_path: Path) -> MakeHasher:
    """`make_hasher(method="chain", bits=32, seed=1, name="hasher")` writes a hasher's folder."""

    def make(*arguments: object, name: str = "hasher", **options: object) -> Path:
        return write_hasher(tmp_path / name, *arguments, **options)

    return make


@pytest.fixture
def clips(tmp_path: Path, write_clip: Callable[..., Path]) -> Clips:
    """`clips(n)` writes n clips that differ."""

    def write(count: int) -> list[Path]:
        return [write_clip(tmp_path / f"clips/{n}.mp4", texture(n)) for n in range(count)]

    return write

"""CHAIN: self-supervised video hashing (arXiv 2310.18926) and its baselines."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chain.hasher.hasher import Hasher
    from chain.hasher.onnx_hasher import OnnxHasher

__version__ = "0.1.0"
__all__ = ["Hasher", "OnnxHasher"]

HOMES = {"Hasher": "chain.hasher.hasher", "OnnxHasher": "chain.hasher.onnx_hasher"}


def __getattr__(name: str) -> Any:
    """Import a hasher when it is asked for: torch takes seconds, and not every stage needs it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)

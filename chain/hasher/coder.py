"""What hashers by torch and by ONNX Runtime have in common. Nothing here needs torch."""

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.hasher.frames import Video

Code: TypeAlias = NDArray[np.uint8]
"""A packed code (b / 8,): `chain.retrieval.codes` says which bit is where."""


class Coder(ABC):
    """Something that makes the code of a video."""

    id: str
    """A hash of all that decides a code."""
    bits: int
    """The code length b."""

    @abstractmethod
    def __call__(self, video: Video) -> Code:
        """Compute the code (b / 8,) of a video. Raises InputError if it can't be read."""

    def distance(self, first: Video | Code, second: Video | Code) -> int:
        """Count the bits in which two codes differ; a video stands for its code."""
        return int(np.bitwise_count(self._code(first) ^ self._code(second)).sum())

    def _code(self, given: Video | Code) -> Code:
        if not isinstance(given, np.ndarray) or given.ndim != 1:
            return self(given)
        if given.dtype != np.uint8 or 8 * len(given) != self.bits:
            raise InputError(f"code: expected {self.bits} bits, packed into uint8")
        return given

"""A hasher run by ONNX Runtime alone. This file imports neither torch nor what needs it."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.hasher.frames import Video, squares
from chain.views.sampling import uniform_frames

FP32, INT8 = "fp32.onnx", "int8.onnx"
ABOUT, FORMAT = "hasher.json", 1
INPUT, ID = "frames", "hasher"


class OnnxHasher:
    """The same as `Hasher`, from a folder that `python -m stages.export_onnx` wrote."""

    def __init__(self, session: Any, about: dict[str, Any]) -> None:
        self.session = session
        self.id: str = about["id"]
        self.bits: int = about["config"]["model"]["bits"]
        self.stored: int = about["config"]["decode"]["frames"]
        self.seen, self.side = session.get_inputs()[0].shape[:2]

    @classmethod
    def load(
        cls,
        folder: str | Path,
        precision: Literal["fp32", "int8"] = "fp32",
        threads: int = 0,
    ) -> Self:
        """Load a graph onto the CPU; 0 threads are as many as there are cores.

        Raises InputError, one line, if ONNX Runtime is not installed, the folder is incomplete,
        damaged or of another version, or the graph is not of the hasher that the folder describes.
        """
        about, path = _about(Path(folder) / ABOUT), Path(folder) / f"{precision}.onnx"
        if not path.is_file():
            raise InputError(f"{path}: no such file; the folder is incomplete")
        runtime = library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own types, which stand in no public module
            raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
        made_by = session.get_modelmeta().custom_metadata_map.get(ID)
        if made_by != about["id"]:
            raise InputError(f"{path}: of hasher {made_by}, but {ABOUT} is of {about['id']}")
        return cls(session, about)

    def __call__(self, video: Video) -> NDArray[np.uint8]:
        """Compute the code (b / 8,) of a video. Raises InputError if it can't be read."""
        frames = squares(video, self.stored, self.side)
        chosen = frames[uniform_frames(self.stored, self.seen)]
        (bits,) = self.session.run(None, {INPUT: np.ascontiguousarray(chosen)})
        return np.packbits(bits)

    def codes(self, videos: Iterable[Video]) -> NDArray[np.uint8]:
        """Compute the codes (N, b / 8) of N videos, in their order; raises as a call does."""
        found = [self(video) for video in videos]
        return np.stack(found) if found else np.empty((0, self.bits // 8), np.uint8)

    def distance(self, first: Video, second: Video) -> int:
        """Count the bits in which the codes of two videos differ."""
        return int(np.bitwise_count(self(first) ^ self(second)).sum())


def _about(path: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = about["format"]
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; the folder holds no hasher") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged") from None
    if found != FORMAT:
        raise InputError(f"{path}: its format is {found!r}, this version reads {FORMAT}")
    return about


def library(name: str) -> ModuleType:
    """Import an optional module. Raises InputError if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"{error}; pip install -r requirements-onnx.txt") from None

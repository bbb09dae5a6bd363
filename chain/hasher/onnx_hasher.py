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
from chain.hasher import ABOUT, FORMAT
from chain.hasher.coder import Code, Coder
from chain.hasher.frames import Video, squares
from chain.views.sampling import uniform_frames

Precision = Literal["fp32", "int8"]

FP32, INT8 = "fp32.onnx", "int8.onnx"
INPUT, ID = "frames", "hasher"


class OnnxHasher(Coder):
    """The same as `Hasher`, from a folder that `python -m stages.export_onnx` wrote."""

    def __init__(self, session: Any, id_: str, bits: int, stored: int) -> None:
        """Wrap a session of ONNX Runtime, as `load` does; `stored` frames are taken of a video."""
        self.session, self.id, self.bits, self.stored = session, id_, bits, stored
        self.seen, self.side = session.get_inputs()[0].shape[:2]

    @classmethod
    def load(
        cls,
        folder: str | Path,
        precision: Precision = "fp32",
        threads: int = 0,
    ) -> Self:
        """Load a graph onto the CPU; 0 threads are as many as there are cores.

        Raises InputError, one line, if ONNX Runtime is not installed, the folder is incomplete,
        damaged or of another version, or the graph is not of the hasher that the folder describes.
        """
        path = Path(folder) / f"{precision}.onnx"
        described = _describe(Path(folder) / ABOUT)
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
        if made_by != described[0]:
            raise InputError(f"{path}: of hasher {made_by}, but {ABOUT} is of {described[0]}")
        return cls(session, *described)

    def __call__(self, video: Video) -> Code:
        """Compute the code (b / 8,) of a video. Raises InputError if it can't be read."""
        frames = squares(video, self.stored, self.side)
        chosen = frames[uniform_frames(self.stored, self.seen)]
        (bits,) = self.session.run(None, {INPUT: np.ascontiguousarray(chosen)})
        return np.packbits(bits)

    def codes(self, videos: Iterable[Video]) -> NDArray[np.uint8]:
        """Compute the codes (N, b / 8) of N videos, in their order; raises as a call does."""
        found = [self(video) for video in videos]
        return np.stack(found) if found else np.empty((0, self.bits // 8), np.uint8)


def _describe(path: Path) -> tuple[str, int, int]:
    """The id of the hasher, its bits, and how many frames are taken of a video."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        found = about["format"]
        if found == FORMAT:
            config = about["config"]
            return about["id"], config["model"]["bits"], config["decode"]["frames"]
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; the folder holds no hasher") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged") from None
    raise InputError(f"{path}: its format is {found!r}, this version reads {FORMAT}")


def library(name: str) -> ModuleType:
    """Import an optional module. Raises InputError if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"{error}; pip install -r requirements-onnx.txt") from None

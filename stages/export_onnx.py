"""Export the headline's hasher to ONNX, in fp32 and int8 (not a pipeline stage)."""

from pathlib import Path

import numpy as np

from chain.hasher.hasher import Hasher
from chain.hasher.onnx_export import export_onnx
from stages.common import ARTIFACTS, parameters, run

CALIBRATION = 64  # clips; more change the ranges of int8 but little


def export(folder: str) -> str:
    (dataset, *_) = parameters("datasets")[0]
    hasher = Hasher.load(ARTIFACTS / "hasher", device="cpu")
    frames = np.load(ARTIFACTS / "frames" / dataset / "frames.npy", mmap_mode="r")
    train = np.load(ARTIFACTS / "features" / dataset / "train.npy")
    rows = train[np.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).astype(int)]
    export_onnx(hasher, Path(folder), frames[rows])
    return f"export_onnx: hasher {hasher.id} in {folder}, fp32 and int8"


if __name__ == "__main__":
    run(export, "folder")

"""Export the headline's hasher to ONNX, in fp32 and int8 (not a pipeline stage)."""

from pathlib import Path

import numpy as np

from chain.datasets.manifest import read_index
from chain.hasher.hasher import Hasher
from chain.hasher.onnx_export import export_onnx
from chain.video.pack import read_frames
from chain.views.training_rows import read_training_rows
from stages.common import ARTIFACTS, parameters, run

CALIBRATION = 32  # clips; twice as many change the ranges of int8 but little


def export(folder: str) -> str:
    (dataset, *_) = parameters("datasets")[0]
    hasher = Hasher.load(ARTIFACTS / "hasher", device="cpu")
    packed = ARTIFACTS / "frames" / dataset
    frames = read_frames(packed / "frames.npy", len(read_index(packed / "index.csv")))
    train = read_training_rows(ARTIFACTS / "features" / dataset / "train.npy", len(frames))
    rows = train[np.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).astype(int)]
    export_onnx(hasher, Path(folder), frames[rows])
    return f"export_onnx: hasher {hasher.id} in {folder}, fp32 and int8"


if __name__ == "__main__":
    run(export, "folder")

"""A hasher as one ONNX graph, from uint8 frames to bits, in fp32 and in int8.

The folder that is written holds the graphs and the hasher's description, and ONNX Runtime needs
nothing else (`chain/hasher/onnx_hasher.py`). Each graph knows the id of its hasher.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chain.backbones.networks import Backbone
from chain.core.errors import InputError
from chain.core.files import replacing, write_json
from chain.features.augmentation import resize
from chain.hasher import ABOUT
from chain.hasher.hasher import Hasher
from chain.hasher.onnx_hasher import FP32, ID, INPUT, INT8, library
from chain.methods.base import Method
from chain.views.sampling import uniform_frames

OPSET = 20
BITS = "bits"
PERCENT = 0.001
FOLDED = ("Relu", "Clip")


class Graph(nn.Module):
    """The way from the frames (t, S, S, 3) that are seen to bits (b,), as tensors alone.

    Resizing is linear in rows and columns, so it is two products with one matrix here. Features are
    rounded to fp16, as the pipeline stores them.
    """

    matrix: Tensor
    mean: Tensor
    std: Tensor
    places: Tensor

    def __init__(self, backbone: Backbone, model: Method, side: int, size: int, seen: int) -> None:
        super().__init__()
        self.network, self.model = backbone.network, model
        self.register_buffer("matrix", resize_matrix(side, size))
        self.register_buffer("mean", backbone.mean)
        self.register_buffer("std", backbone.std)
        self.register_buffer("places", torch.from_numpy(uniform_frames(seen, model.frames)))

    def forward(self, frames: Tensor) -> Tensor:
        images = frames.permute(0, 3, 1, 2).float() / 255
        images = self.matrix @ images @ self.matrix.T
        features = self.network((images - self.mean) / self.std)
        features = features.half().float()[self.places]
        return self.model.encode(features[None])[0] >= 0


def resize_matrix(side: int, size: int) -> Tensor:
    """The matrix R (size, side) with which `resize` turns an image X (side, side) into R X Rᵀ."""
    columns = torch.eye(side)[:, None, :, None].expand(-1, 1, -1, side)  # constant along a row
    return resize(columns, size)[:, 0, :, 0].T.contiguous()


def export_onnx(
    hasher: Hasher, folder: Path, calibration: NDArray[np.uint8], seen: int | None = None
) -> None:
    """Write a folder with `fp32.onnx`, `int8.onnx` and `hasher.json`.

    Args:
        hasher: any hasher on the CPU.
        folder: is whole and new afterwards, or as it was.
        calibration: stored frames (n, D, S, S, 3) of training clips, which fix the ranges of int8.
        seen: how many frames of a video the CNN sees; all that the method encodes by default. With
            fewer, the nearest ones are repeated after the CNN, so that it does less.

    Raises InputError if a package is missing, or ONNX can't express the method.
    """
    seen = seen or hasher.model.frames
    if not 1 <= seen <= hasher.model.frames:
        raise InputError(f"seen: {seen}, but the hasher encodes {hasher.model.frames} frames")
    with replacing(folder) as out:
        out.mkdir()
        write_graph(hasher, out / FP32, seen)
        quantise(out / FP32, out / INT8, calibration)
        write_json(out / ABOUT, hasher.about.model_dump(mode="json"))


def write_graph(hasher: Hasher, path: Path, seen: int) -> None:
    """Write the graph in fp32. Raises InputError as `export_onnx`."""
    onnx = library("onnx")
    library("onnxscript")
    config = hasher.about.config
    side = config.decode.size
    graph = Graph(hasher.extractor.backbone, hasher.model, side, config.backbone.size, seen)
    frames = torch.zeros(seen, side, side, 3, dtype=torch.uint8)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                graph.eval(),
                (frames,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[BITS],
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"ONNX can't express {config.model.method}: {reason}") from None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = ID, hasher.id
    onnx.save(model, path)


def quantise(source: Path, target: Path, calibration: NDArray[np.uint8]) -> None:
    """Quantise the CNN to int8: QDQ, static, per channel, calibrated on frames (n, D, S, S, 3).

    * A layer is quantised with the clamp behind it (`FOLDED`), which the range of the layer's
      output then stands for. On its own, a layer before ReLU6 would spend most of its 256 steps on
      values that the clamp cuts off.
    * Ranges leave out the outermost PERCENT of the values. With all of them, 1.7 times as many bits
      of the demo flip.
    * What comes after the CNN is small and stays in fp32.
    """
    onnx = library("onnx")
    quantization = library("onnxruntime.quantization")
    shape_inference = library("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory() as name, _quiet():
        prepared = Path(name) / "prepared.onnx"
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        seen = graph.input[0].type.tensor_type.shape.dim[0].dim_value
        half = onnx.TensorProto.FLOAT16
        rounding = next(  # of the features: the CNN ends here
            place
            for place, node in enumerate(graph.node)
            if node.op_type == "Cast" and half in [attribute.i for attribute in node.attribute]
        )
        quantization.quantize_static(
            prepared,
            target,
            _Reader(calibration[:, uniform_frames(calibration.shape[1], seen)]),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", *FOLDED],
            nodes_to_quantize=[node.name for node in graph.node[:rounding]],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.Percentile,
            # One clip at a time, or the activations of all of them would be in memory together.
            extra_options={"CalibPercentile": 100 - PERCENT, "CalibStridedMinMax": 1},
        )


class _Reader:
    """Gives the calibration's clips one by one, as ONNX Runtime wants them."""

    def __init__(self, clips: NDArray[np.uint8]) -> None:
        self.clips = clips
        self.set_range(0, len(clips))

    def __len__(self) -> int:
        return len(self.clips)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.left = iter(self.clips[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        clip = next(self.left, None)
        return None if clip is None else {INPUT: clip}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what exporters print of their progress."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)

"""ONNX Runtime against torch, and folders that it must refuse."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_hasher import SIDE, STORED, texture, write_hasher
from torch import nn

from chain import Hasher, OnnxHasher
from chain.core.errors import InputError
from chain.features.augmentation import resize
from chain.hasher.frames import squares
from chain.hasher.onnx_export import export_onnx, quantise, resize_matrix, write_graph

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason="ONNX is optional: requirements-onnx.txt")

ROOT = Path(__file__).parents[2]
NEAR = 1e-3  # values so near to 0 may have another sign
FRAMES = np.stack([squares(texture(n), STORED, SIDE) for n in range(12)])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hasher, Path]:
    """A hasher, and the folder of its graphs."""
    folder = tmp_path_factory.mktemp("exported")
    hasher = Hasher.load(write_hasher(folder / "hasher"), device="cpu")
    export_onnx(hasher, folder / "onnx", FRAMES[:4])
    return hasher, folder / "onnx"


def flipped(codes: Any, expected: Any) -> float:
    return float(np.unpackbits(codes ^ expected).mean())


def test_fp32_has_the_bits_of_torch_but_near_zero(exported):
    hasher, folder = exported
    values, expected = hasher.values(FRAMES), hasher.codes(FRAMES)
    assert flipped(expected[0], expected[1]) > 0  # else this would show nothing
    graph = OnnxHasher.load(folder, threads=1)
    differing = np.unpackbits(graph.codes(FRAMES) ^ expected, axis=1).astype(bool)
    assert np.abs(values[differing]).max(initial=0) < NEAR
    assert (graph.id, graph.bits, graph.seen) == (hasher.id, 32, 4)
    assert graph.codes([]).shape == (0, 4)


def test_int8_flips_few_bits_and_is_smaller(exported):
    hasher, folder = exported
    codes = OnnxHasher.load(folder, "int8", threads=1).codes(FRAMES)
    assert flipped(codes, hasher.codes(FRAMES)) < 0.03
    sizes = [(folder / name).stat().st_size for name in ("int8.onnx", "fp32.onnx")]
    assert sizes[0] < sizes[1] / 2


class Clamped(nn.Module):
    """Features (t, F) behind a layer with values in the hundreds, of which ReLU6 leaves 0 to 6."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 4, 1)
        random = torch.Generator().manual_seed(0)
        self.first.weight.data = 150 * torch.randn(16, 3, 3, 3, generator=random)
        self.first.bias.data = torch.zeros(16)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        images = frames.permute(0, 3, 1, 2).float() / 255
        features = self.last(nn.functional.relu6(self.first(images)))
        return features.flatten(1).half().float()


def test_int8_spends_no_steps_on_what_a_clamp_cuts_off(tmp_path):
    network, paths = Clamped().eval(), [tmp_path / "fp32.onnx", tmp_path / "int8.onnx"]
    example = torch.zeros(STORED, SIDE, SIDE, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        network, (example,), dynamo=True, opset_version=20, input_names=["frames"]
    )
    program.save(paths[0])
    quantise(*paths, FRAMES[:4])
    runtime = pytest.importorskip("onnxruntime")
    sessions = [runtime.InferenceSession(path) for path in paths]
    expected, found = (one.run(None, {"frames": FRAMES[5]})[0] for one in sessions)
    np.testing.assert_allclose(expected, network(torch.from_numpy(FRAMES[5])).detach(), atol=0.01)
    noise = np.square(found - expected).mean() / expected.var()
    assert noise < 0.0025  # .0012 is measured, and .0053 with a layer and its clamp apart


@pytest.mark.parametrize("method", ["pca_itq", "conmh", "s5vh"])
def test_other_methods_and_fewer_frames(make_hasher, tmp_path, method):
    hasher = Hasher.load(make_hasher(method), device="cpu")
    write_graph(hasher, tmp_path / "fp32.onnx", seen=2)
    shutil.copy(tmp_path / "hasher/hasher.json", tmp_path)
    graph = OnnxHasher.load(tmp_path, threads=1)
    assert graph.seen == 2
    for frames in FRAMES[:4]:
        # The slow way: the CNN sees the middles of both halves, which then stand for two each.
        seen = hasher.extractor(frames[[1, 4]])[[0, 0, 1, 1]]
        with torch.inference_mode():
            values = hasher.model.encode(torch.from_numpy(seen[None]).float())[0].numpy()
        differing = np.unpackbits(graph(frames)).astype(bool) != (values >= 0)
        assert np.abs(values[differing]).max(initial=0) < NEAR


@pytest.mark.parametrize("size", [32, 40, 64])
def test_resizing_is_a_product_with_a_matrix(size):
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    matrix = resize_matrix(40, size)
    torch.testing.assert_close(matrix @ images @ matrix.T, resize(images, size))


def test_without_torch(exported, clips):
    hasher, folder = exported
    one, two = clips(2)
    program = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'pandas', 'pydantic', 'safetensors'):\n"
        "    sys.modules[name] = None\n"  # an import of it fails
        "from chain import OnnxHasher\n"
        f"hasher = OnnxHasher.load({str(folder)!r}, threads=1)\n"
        f"print(hasher.distance({str(one)!r}, {str(two)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(int(done.stdout) - hasher.distance(one, two)) <= 1


def fails(folder: Path, message: str) -> None:
    with pytest.raises(InputError) as raised:
        OnnxHasher.load(folder, threads=1)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bad_folders(exported, tmp_path):
    folder = Path(shutil.copytree(exported[1], tmp_path / "copy"))
    about = json.loads((folder / "hasher.json").read_text())
    (folder / "hasher.json").write_text(json.dumps(about | {"id": "0123"}))
    fails(folder, f"fp32.onnx: of hasher {about['id']}, but hasher.json is of 0123")
    (folder / "hasher.json").write_text(json.dumps(about | {"format": 2}))
    fails(folder, "hasher.json: its format is 2, this version reads 1")
    for text in ("no JSON", "[]", '{"format": 1}'):
        (folder / "hasher.json").write_text(text)
        fails(folder, "hasher.json: damaged")
    (folder / "hasher.json").write_text(json.dumps(about))
    (folder / "fp32.onnx").write_bytes((folder / "fp32.onnx").read_bytes()[:5000])
    fails(folder, "fp32.onnx: damaged")
    (folder / "fp32.onnx").unlink()
    fails(folder, "fp32.onnx: no such file; the folder is incomplete")
    fails(tmp_path / "none", "hasher.json: no such file; the folder holds no hasher")


def test_bad_videos(exported):
    graph = OnnxHasher.load(exported[1], threads=1)
    with pytest.raises(InputError, match=r"^none.mp4: no such file$"):
        graph("none.mp4")


def test_an_export_that_fails_leaves_the_old_folder(exported):
    hasher, folder = exported
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="seen: 9, but the hasher encodes 4 frames"):
        export_onnx(hasher, folder, FRAMES, seen=9)
    hasher.model.encode, whole = lambda _: torch.zeros(()).numpy(), hasher.model.encode
    with pytest.raises(InputError, match="ONNX can't express chain: "):
        export_onnx(hasher, folder, FRAMES)
    hasher.model.encode = whole
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(folder.parent.glob(".*"))

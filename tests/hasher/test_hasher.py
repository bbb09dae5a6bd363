"""The hasher against the pipeline's own steps, and what it says of bad input."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from chain import Hasher
from chain.backbones.networks import Backbone
from chain.core.errors import InputError
from chain.features.augmentation import resize
from chain.hasher.folder import CNN, MODEL, read_about
from chain.retrieval.codes import pack
from chain.training.encode import encode_store
from chain.video.decode import read_clip
from chain.views.store import FeatureStore

ROOT = Path(__file__).parents[2]


def pipeline_codes(folder: Path, paths: list[Path]) -> Any:
    """The slow twin: decoded, encoded by the bare CNN, stored as fp16 and encoded as a batch."""
    from safetensors.torch import load_file

    about = read_about(folder)
    backbone = Backbone(about.config.backbone).eval()
    backbone.network.load_state_dict(load_file(folder / CNN))
    decode = about.config.decode
    clean = []
    for path in paths:
        images = torch.from_numpy(read_clip(path, decode.frames, decode.size).images)
        planes = images.permute(0, 3, 1, 2).contiguous().float() / 255
        with torch.inference_mode():
            features = backbone(resize(planes, about.config.backbone.size))
        clean.append(features.numpy().astype(np.float16))
    index = pd.DataFrame({"id": [path.stem for path in paths]})
    model = about.config.model.build()
    model.load_state_dict(load_file(folder / MODEL))
    store = FeatureStore(index, np.stack(clean), np.arange(0), {})
    return pack(encode_store(model, store, torch.device("cpu")))


@pytest.mark.parametrize("method", ["lsh", "pca_itq", "conmh", "chain", "s5vh"])
def test_codes_are_those_of_the_pipeline(make_hasher, clips, method):
    folder, paths = make_hasher(method), clips(5)
    hasher = Hasher.load(folder, device="cpu")
    expected = pipeline_codes(folder, paths)
    assert len(np.unique(expected, axis=0)) > 1  # else this would show nothing
    codes = hasher.codes(paths)
    assert codes.dtype == np.uint8 and codes.shape == (5, 4)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(hasher(str(paths[2])), expected[2])
    assert hasher.bits == 32
    differing = np.unpackbits(expected[0] ^ expected[1]).sum()
    assert hasher.distance(paths[0], paths[1]) == differing
    assert hasher.distance(expected[0], paths[1]) == differing


def test_arrays_of_frames(make_hasher, clips, grey_clip):
    hasher = Hasher.load(make_hasher())
    (path,) = clips(1)
    frames = read_clip(path, 6, 40).images
    np.testing.assert_array_equal(hasher(frames), hasher(path))
    video = np.zeros((20, 48, 64, 3), np.uint8)  # any number of frames of any size
    assert hasher(video).shape == (4,)
    many = hasher.codes([path, frames, video], progress=True)
    np.testing.assert_array_equal(many, [hasher(path), hasher(frames), hasher(video)])
    assert hasher.codes([]).shape == (0, 4)


def test_another_working_directory_and_no_parameters(make_hasher, clips, tmp_path):
    folder, (path,) = make_hasher(), clips(1)
    program = (
        "import sys, chain; assert 'torch' not in sys.modules\n"
        f"print(chain.Hasher.load({str(folder)!r}, 'cpu')({str(path)!r}).tolist())"
    )
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "elsewhere",
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(Hasher.load(folder)(path).tolist())


def fails(message: str, action: Any) -> None:
    with pytest.raises(InputError) as raised:
        action()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bad_videos(make_hasher, clips, tmp_path):
    hasher, (good,) = Hasher.load(make_hasher()), clips(1)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(good.read_bytes()[:200])
    fails("none.mp4: no such file", lambda: hasher("none.mp4"))
    fails(f"{broken}: ", lambda: hasher.codes([good, broken]))
    fails("frames: expected uint8", lambda: hasher(np.zeros((4, 8, 8, 3))))
    fails("of shape (0, 8, 8, 3)", lambda: hasher(np.zeros((0, 8, 8, 3), np.uint8)))
    fails("code: expected 32 bits", lambda: hasher.distance(good, np.zeros(3, np.uint8)))


def test_a_device_that_is_not_there(make_hasher):
    folder = make_hasher()
    fails("device 'abacus': ", lambda: Hasher.load(folder, device="abacus"))

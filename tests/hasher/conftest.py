"""A hasher so small that it codes a clip in milliseconds, and clips for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from small_methods import small

from chain.backbones.networks import Backbone, BackboneConfig
from chain.hasher.folder import Decoding, Recipe, Training, write_folder
from chain.methods import method_class, method_config
from chain.methods.saved_models import Description
from chain.retrieval.codes import pack
from chain.training.encode import encode_store
from chain.training.loop import build
from chain.views.store import FeatureStore

WIDTH, STORED, SIDE = 512, 6, 32  # squeezenet's features; stored frames and their side
CNN = BackboneConfig(
    name="squeezenet1_1",
    weights="pretrain",
    size=SIDE,
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
)

MakeHasher = Callable[..., Path]
Clips = Callable[[int], list[Path]]


@pytest.fixture
def make_hasher(tmp_path: Path) -> MakeHasher:
    """`make_hasher(method="chain", bits=32, seed=0, name="hasher")` writes a hasher's folder."""

    def make(method: str = "chain", bits: int = 32, seed: int = 0, name: str = "hasher") -> Path:
        random = np.random.default_rng(seed)
        clean = random.normal(size=(60, STORED, WIDTH)).astype(np.float16)
        index = pd.DataFrame({"id": [f"clip {n}" for n in range(60)], "labels": "", "split": ""})
        store = FeatureStore(index, clean, np.arange(40), {"consistent": clean[:40, None]})
        config = method_config(method, small(method))
        model = build(method_class(method), config, store, bits, seed)
        described = Description(
            method=method,
            feature_width=WIDTH,
            bits=bits,
            parameters=config.model_dump(mode="json"),
        )
        write_folder(
            tmp_path / name,
            Recipe(
                decode=Decoding(frames=STORED, size=SIDE),
                backbone=CNN,
                model=described,
            ),
            Backbone(CNN).network.state_dict(),
            model.state_dict(),
            pack(encode_store(model, store, torch.device("cpu")))[:40],
            Training(dataset="tiny", clips=40, seed=seed),
        )
        return tmp_path / name

    return make


@pytest.fixture
def clips(tmp_path: Path, write_clip: Callable[..., Path]) -> Clips:
    """`clips(n)` writes n clips that differ."""

    def write(count: int) -> list[Path]:
        return [write_clip(tmp_path / f"clips/{n}.mp4", texture(n)) for n in range(count)]

    return write


def texture(seed: int) -> NDArray[np.uint8]:
    """Twelve frames (12, 40, 56, 3) of a coarse random texture that slides by."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 14, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([coarse[:, shift : shift + 56] for shift in range(0, 48, 4)])

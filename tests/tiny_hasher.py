"""A hasher so small that it codes a clip in milliseconds."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from small_methods import small

from chain.backbones.networks import Backbone, BackboneConfig
from chain.hasher.folder import Decoding, HasherConfig, Training, write_folder
from chain.methods import method_class, method_config
from chain.methods.saved_models import Description
from chain.retrieval.codes import pack
from chain.training.encode import encode_store
from chain.training.loop import build
from chain.views.store import FeatureStore

WIDTH, STORED, SIDE = 512, 6, 40  # squeezenet's features; stored frames and their side
CLIPS, TRAINED = 60, 40
CNN = BackboneConfig(
    name="squeezenet1_1",
    weights="pretrain",
    size=32,
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
)


def tiny_store(seed: int = 0) -> FeatureStore:
    """Features of 60 clips, 40 of them for training, each clip around a mean of its own."""
    random = np.random.default_rng(seed)
    clean = random.normal(size=(CLIPS, 1, WIDTH)) + random.normal(size=(CLIPS, STORED, WIDTH)) / 2
    views = clean[:TRAINED, None] + random.normal(size=(TRAINED, 2, STORED, WIDTH)) / 4
    index = pd.DataFrame({"id": [f"clip {n}" for n in range(CLIPS)], "labels": "", "split": ""})
    bank = {"consistent": views.astype(np.float16)}
    return FeatureStore(index, clean.astype(np.float16), np.arange(TRAINED), bank)


def write_hasher(folder: Path, method: str = "chain", bits: int = 32, seed: int = 1) -> Path:
    """Write the folder of a hasher with a random CNN, whose method has seen `tiny_store`."""
    store, config = tiny_store(), method_config(method, small(method))
    model = build(method_class(method), config, store, bits, seed)
    described = Description(
        method=method,
        feature_width=WIDTH,
        bits=bits,
        parameters=config.model_dump(mode="json"),
    )
    torch.manual_seed(seed)
    write_folder(
        folder,
        HasherConfig(decode=Decoding(frames=STORED, size=SIDE), backbone=CNN, model=described),
        Backbone(CNN).network.state_dict(),
        model.state_dict(),
        pack(encode_store(model, store, torch.device("cpu")))[:TRAINED],
        Training(dataset="tiny", clips=TRAINED, seed=seed),
    )
    return folder


def texture(seed: int) -> NDArray[np.uint8]:
    """Twelve frames (12, 40, 56, 3) of a coarse random texture of one tint that slides by."""
    tint = np.random.default_rng(seed).random(3)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 14, 3), dtype=np.uint8) * tint
    tiles = coarse.astype(np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([tiles[:, shift : shift + 56] for shift in range(0, 48, 4)])

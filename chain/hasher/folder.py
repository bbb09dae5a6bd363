"""A hasher's folder: what a code depends on, in JSON and safetensors, without pickled objects.

* `hasher.json` says how to decode, which CNN, which method with which parameters, on what it was
  trained, and what the codes of the training clips look like.
* `cnn.safetensors` and `model.safetensors` hold the weights of the CNN and of the method.
* `codes.safetensors` holds a sample of the training clips' codes, against which drift is measured.

The id is a hash of all that decides a code. Codes are comparable only if their hashers' ids are the
same, or one of the two hashers is an update of the other.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load, save
from torch import Tensor

import chain
from chain.backbones.networks import Backbone, BackboneConfig
from chain.core.errors import InputError
from chain.core.files import replacing, write_json
from chain.core.params import Parameters, parse
from chain.datasets.manifest import file_sha256
from chain.hasher import ABOUT, FORMAT
from chain.hasher.statistics import Statistics, describe, sample
from chain.methods.base import Method
from chain.methods.saved_models import Description

CNN, MODEL, CODES = "cnn.safetensors", "model.safetensors", "codes.safetensors"


class Decoding(Parameters):
    """What is kept of a video."""

    frames: Annotated[int, Field(ge=1)]
    """D, the number of frames."""
    size: Annotated[int, Field(ge=16)]
    """S, the side of a frame in pixels."""


class Training(Parameters):
    """What a hasher was trained on."""

    dataset: str
    clips: int
    seed: int
    updated_from: str | None = None
    """The id of the hasher that this one is an update of."""


class HasherConfig(Parameters):
    """All that decides a code, but for the weights."""

    decode: Decoding
    backbone: BackboneConfig
    model: Description


class About(Parameters):
    """The content of `hasher.json`."""

    format: int
    id: str
    checksums: dict[str, str]
    """The SHA-256 of each other file."""
    made_by: str
    """The version of this package."""
    config: HasherConfig
    trained_on: Training
    statistics: Statistics


def write_folder(
    folder: Path,
    config: HasherConfig,
    cnn: Mapping[str, Tensor],
    model: Mapping[str, Tensor],
    codes: NDArray[np.uint8],
    trained_on: Training,
) -> About:
    """Write a hasher's folder; `codes` (N, b / 8) are those of the training clips.

    The folder is whole and new afterwards, or as it was. Returns what `hasher.json` says.
    """
    kept = sample(codes)
    with replacing(folder) as out:
        out.mkdir()
        checksums = {
            name: _write(out / name, tensors)
            for name, tensors in (
                (CNN, cnn),
                (MODEL, model),
                (CODES, {"codes": torch.from_numpy(kept)}),
            )
        }
        about = About(
            format=FORMAT,
            id=_id(config, checksums),
            checksums=checksums,
            made_by=chain.__version__,
            config=config,
            trained_on=trained_on,
            statistics=describe(kept),
        )
        write_json(out / ABOUT, about.model_dump(mode="json"))
    return about


def read_about(folder: Path) -> About:
    """Read `hasher.json` and compare it with the other files.

    Raises InputError, one line, if the folder is no hasher, has another format, or is incomplete or
    damaged.
    """
    about = parse_about(folder / ABOUT)
    for name in (CNN, MODEL, CODES):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file; the hasher is incomplete")
        if file_sha256(folder / name) != about.checksums.get(name):
            raise InputError(f"{folder / name}: damaged, or of another hasher than {ABOUT}")
    if _id(about.config, about.checksums) != about.id:
        raise InputError(f"{folder / ABOUT}: its id is not that of what it describes")
    return about


def parse_about(path: Path) -> About:
    """Read `hasher.json`. Raises InputError if it is missing, damaged or of another format."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; the folder holds no hasher") from None
    except (OSError, ValueError):
        raise InputError(f"{path}: damaged, it is no JSON") from None
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise InputError(f"{path}: its format is {found!r}, this version reads {FORMAT}")
    return parse(About, tree, "hasher", path)


def load_networks(folder: Path, about: About) -> tuple[Backbone, Method]:
    """Load the CNN and the method, frozen and in evaluation mode.

    Raises InputError if they are not what the code of this version builds.
    """
    try:
        backbone, model = Backbone(about.config.backbone), about.config.model.build()
        backbone.network.load_state_dict(_read(folder / CNN))
        model.load_state_dict(_read(folder / MODEL))
    except (RuntimeError, ValueError) as error:  # pydantic's errors are ValueErrors
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder}: made by version {about.made_by}, whose networks differ from those of "
            f"version {chain.__version__}"
        ) from None
    return backbone.eval().requires_grad_(False), model.eval().requires_grad_(False)


def read_codes(folder: Path) -> NDArray[np.uint8]:
    """Read the sample (N, b / 8) of the training clips' codes."""
    codes: NDArray[np.uint8] = _read(folder / CODES)["codes"].numpy()
    return codes


def _read(path: Path) -> dict[str, Tensor]:
    return dict(load(path.read_bytes()))


def _write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors; returns the file's SHA-256. Shared memory, which safetensors refuses, ends."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    path.write_bytes(save(plain))
    return file_sha256(path)


def _id(config: HasherConfig, checksums: Mapping[str, str]) -> str:
    decides = [config.model_dump(mode="json"), checksums[CNN], checksums[MODEL]]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

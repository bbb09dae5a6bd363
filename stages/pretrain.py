"""The CNN's weights: learned on the training frames, downloaded, or read from a file."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chain.datasets.manifest import Roles, read_index, select
from chain.features.backbone import PRETRAIN
from chain.features.pretrain import PretrainConfig, pretrain
from chain.features.weights import backbone_config, load_weights
from chain.files import replacing
from chain.params import parse
from chain.runtime import RuntimeConfig, set_up
from chain.scratch import scratch_folder
from stages.common import ARTIFACTS, parameters, run


def backbone_weights(dataset: str) -> str:
    backbone, roles, training, runtime = parameters(
        f"data.{dataset}.backbone", f"data.{dataset}.roles", "pretrain", "runtime"
    )
    frames, out = ARTIFACTS / "frames" / dataset, ARTIFACTS / "backbones" / f"{dataset}.pt"
    if backbone is None:
        _write(out, {})
        return f"pretrain: ready-made features, no CNN; {out} is empty"
    config = backbone_config(backbone, f"data.{dataset}.backbone")
    key = {"backbone": backbone, "roles": roles, "pretrain": training}
    with scratch_folder(f"pretrain-{dataset}", key, [frames / "frames.npy"]) as scratch:
        if config.weights == PRETRAIN:
            split = parse(Roles, roles, f"data.{dataset}.roles").train
            weights = pretrain(
                np.load(frames / "frames.npy", mmap_mode="r"),
                select(read_index(frames / "index.csv"), split),
                config,
                parse(PretrainConfig, training, "pretrain"),
                set_up(parse(RuntimeConfig, runtime, "runtime")),
                scratch,
            )
        else:
            weights = load_weights(config)
        _write(out, weights)
    return f"pretrain: weights of {config.name} ({config.weights}) in {out}"


def _write(out: Path, weights: dict[str, Tensor]) -> None:
    buffer = BytesIO()  # to a file, the bytes would depend on its temporary name
    torch.save(weights, buffer)
    with replacing(out) as temporary:
        temporary.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    run(backbone_weights, "dataset")

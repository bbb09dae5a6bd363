"""The CNN's weights: learned on the training frames, downloaded, or read from a file."""

import numpy as np
import torch

from chain.datasets.manifest import Roles, read_index, select
from chain.features.backbone import PRETRAIN, BackboneConfig, load_weights
from chain.features.pretrain import PretrainConfig, pretrain
from chain.files import replacing
from chain.params import parse
from chain.runtime import RuntimeConfig, set_up
from chain.scratch import scratch_folder
from stages.common import ARTIFACTS, parameters, run


def backbone_weights(dataset: str) -> str:
    backbone, roles, training, runtime = parameters(
        f"data.{dataset}.backbone", f"data.{dataset}.roles", "pretrain", "runtime"
    )
    config = parse(BackboneConfig, backbone, f"data.{dataset}.backbone")
    out = ARTIFACTS / "backbones" / f"{dataset}.pt"
    if config.weights == PRETRAIN:
        frames = ARTIFACTS / "frames" / dataset
        device = set_up(parse(RuntimeConfig, runtime, "runtime"))
        train = select(read_index(frames / "index.csv"), parse(Roles, roles, "roles").train)
        settings = parse(PretrainConfig, training, "pretrain")
        packed = frames / "frames.npy"
        key = {"backbone": backbone, "roles": roles, "pretrain": training}
        with scratch_folder(f"pretrain-{dataset}", key, [packed]) as scratch:
            pixels = np.load(packed, mmap_mode="r")
            weights = pretrain(pixels, train, config, settings, device, scratch)
    else:
        weights = load_weights(config)
    with replacing(out) as temporary:
        torch.save(weights, temporary)
    return f"pretrain: weights of {config.name} ({config.weights}) in {out}"


if __name__ == "__main__":
    run(backbone_weights, "dataset")

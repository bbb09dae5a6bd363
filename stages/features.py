"""CNN features of the clean frames and of augmented views."""

import shutil

import numpy as np

from chain.datasets.manifest import Roles, read_index, select
from chain.features.augment import AugmentConfig
from chain.features.backbone import BackboneConfig, load_backbone
from chain.features.bank import BankConfig, FeatureExtractor, extract
from chain.files import replacing
from chain.params import parse
from chain.runtime import RuntimeConfig, set_up
from chain.scratch import scratch_folder
from stages.common import ARTIFACTS, parameters, run


def features(dataset: str) -> str:
    backbone, bank, roles, augment, runtime = parameters(
        f"data.{dataset}.backbone",
        f"data.{dataset}.bank",
        f"data.{dataset}.roles",
        "augment",
        "runtime",
    )
    config = parse(BackboneConfig, backbone, f"data.{dataset}.backbone")
    frames, out = ARTIFACTS / "frames" / dataset, ARTIFACTS / "features" / dataset
    weights = ARTIFACTS / "backbones" / f"{dataset}.pt"
    device = set_up(parse(RuntimeConfig, runtime, "runtime"))
    extractor = FeatureExtractor(load_backbone(config, weights), config.size, device)
    split = parse(Roles, roles, f"data.{dataset}.roles").train
    train = select(read_index(frames / "index.csv"), split)
    key = {"backbone": backbone, "bank": bank, "augment": augment, "roles": roles}
    with scratch_folder(f"features-{dataset}", key, [frames / "frames.npy", weights]) as scratch:
        arrays = extract(
            extractor,
            np.load(frames / "frames.npy", mmap_mode="r"),
            train,
            parse(BankConfig, bank, f"data.{dataset}.bank"),
            parse(AugmentConfig, augment, "augment"),
            scratch,
        )
        shape = " × ".join(map(str, arrays["clean"].shape))
        np.save(scratch / "train.npy", train)
        shutil.copy(frames / "index.csv", scratch)
        with replacing(out) as temporary:
            shutil.move(scratch, temporary)
    return f"features: {shape} of clean frames in {out}"


if __name__ == "__main__":
    run(features, "dataset")

"""CNN features of the clean frames and of augmented views; ready-made ones are converted."""

import shutil

import numpy as np

from chain import engines
from chain.backbones.networks import load_backbone
from chain.backbones.weights import backbone_config
from chain.core.files import replacing, write_json
from chain.core.params import parse
from chain.core.runtime import RuntimeConfig, set_up
from chain.core.scratch import scratch_folder
from chain.datasets import source_config
from chain.datasets.feature_files import ReadyConfig
from chain.datasets.manifest import Roles, read_index, select
from chain.features.augmentation import AugmentConfig
from chain.features.bank import BankConfig, FeatureExtractor, extract
from chain.features.convert import convert
from stages.common import ARTIFACTS, data_root, parameters, run


def features(dataset: str) -> str:
    source, backbone, bank, roles, augment, runtime = parameters(
        f"data.{dataset}.source",
        f"data.{dataset}.backbone",
        f"data.{dataset}.bank",
        f"data.{dataset}.roles",
        "augment",
        "runtime",
    )
    ready = source_config(source, f"data.{dataset}.source")
    frames, out = ARTIFACTS / "frames" / dataset, ARTIFACTS / "features" / dataset
    weights = ARTIFACTS / "backbones" / f"{dataset}.pt"
    index = read_index(frames / "index.csv")
    train = select(index, parse(Roles, roles, f"data.{dataset}.roles").train)
    key = {"source": source, "backbone": backbone, "bank": bank, "augment": augment, "roles": roles}
    inputs = [*sorted(frames.iterdir()), weights]
    with scratch_folder(f"features-{dataset}", key, inputs) as scratch:
        if isinstance(ready, ReadyConfig):
            clean = convert(ready, data_root(ready.root), index, scratch)
        else:
            config = backbone_config(backbone, f"data.{dataset}.backbone")
            device = set_up(parse(RuntimeConfig, runtime, "runtime"))
            clean = extract(
                FeatureExtractor(load_backbone(config, weights), config.size, device),
                np.load(frames / "frames.npy", mmap_mode="r"),
                train,
                parse(BankConfig, bank, f"data.{dataset}.bank"),
                parse(AugmentConfig, augment, "augment"),
                scratch,
                engines.for_features(runtime),
            )["clean"]
        shape = " × ".join(map(str, clean.shape))
        np.save(scratch / "train.npy", train)
        shutil.copy(frames / "index.csv", scratch)
        write_json(scratch / "made_with.json", {"backbone": backbone, "roles": roles})
        with replacing(out) as temporary:
            shutil.move(scratch, temporary)
            for marker in temporary.glob("*_done"):  # till now: a kill loses nothing
                marker.unlink()
    return f"features: {shape} of clean frames in {out}"


if __name__ == "__main__":
    run(features, "dataset")

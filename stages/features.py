"""CNN features of the clean frames and of augmented views; ready-made ones are converted."""

import shutil

import numpy as np

from chain.backbones.networks import load_backbone
from chain.backbones.weights import backbone_config
from chain.core.files import replacing, write_json
from chain.core.params import profile_path
from chain.core.runtime import RuntimeConfig, set_up
from chain.core.scratch import scratch_folder
from chain.datasets.feature_files import ReadyConfig
from chain.datasets.manifest import Roles, read_index, select
from chain.datasets.sources import source_config
from chain.features.augmentation import AugmentConfig
from chain.features.bank import BankConfig, FeatureExtractor, extract, remove_markers
from chain.features.convert import convert
from chain.features.engine import feature_computer
from chain.video.pack import read_frames
from stages.common import ARTIFACTS, data_root, parameters, parsed, profile, run


def features(dataset: str) -> str:
    source, backbone, bank = profile(dataset, "source", "backbone", "bank")
    roles = parsed(Roles, "roles", dataset)
    augment, runtime = parameters("augment", "runtime")
    ready = source_config(source, "source", profile_path(dataset))
    frames, out = (ARTIFACTS / name / dataset for name in ("frames", "features"))
    weights = ARTIFACTS / "backbones" / f"{dataset}.pt"
    index = read_index(frames / "index.csv")
    train = select(index, roles.train)
    made_with = {"backbone": backbone, "roles": roles.model_dump()}
    key = made_with | {"source": source, "bank": bank, "augment": augment}
    with scratch_folder(f"features-{dataset}", key, [*frames.iterdir(), weights]) as scratch:
        if isinstance(ready, ReadyConfig):
            clean = convert(ready, data_root(ready.root), index, scratch)
        else:
            device = set_up(parsed(RuntimeConfig, "runtime"))
            config = backbone_config(backbone, "backbone", profile_path(dataset))
            cnn = FeatureExtractor(load_backbone(config, weights), config.size, device)
            pixels, ids = read_frames(frames / "frames.npy", len(index)), index["id"].tolist()
            views, draws = parsed(BankConfig, "bank", dataset), parsed(AugmentConfig, "augment")
            compute, keep_as = feature_computer(runtime), f"features-{dataset}"
            arrays = extract(cnn, pixels, ids, train, views, draws, scratch, compute, keep_as)
            clean = arrays["clean"]
        np.save(scratch / "train.npy", train)
        shutil.copy(frames / "index.csv", scratch)
        write_json(scratch / "made_with.json", made_with)
        with replacing(out) as temporary:
            shutil.move(scratch, temporary)
            remove_markers(temporary)  # only now, so that a kill loses nothing
    return f"features: {' × '.join(map(str, clean.shape))} of clean frames in {out}"


if __name__ == "__main__":
    run(features, "dataset")

"""The CNN's weights: learned on the training frames, downloaded, or read from a file."""

from pathlib import Path

from torch import Tensor

from chain.backbones.networks import PRETRAIN
from chain.backbones.pretraining import PretrainConfig, pretrain
from chain.backbones.weights import backbone_config, load_weights
from chain.core.files import replacing
from chain.core.params import profile_path
from chain.core.runtime import RuntimeConfig, set_up
from chain.core.scratch import scratch_folder
from chain.core.tensors import save_tensors
from chain.datasets.manifest import Roles, read_index, select
from chain.video.pack import read_frames
from stages.common import ARTIFACTS, parsed, profile, run


def backbone_weights(dataset: str) -> str:
    (backbone,) = profile(dataset, "backbone")
    roles, training = parsed(Roles, "roles", dataset), parsed(PretrainConfig, "pretrain")
    frames, out = ARTIFACTS / "frames" / dataset, ARTIFACTS / "backbones" / f"{dataset}.pt"
    if backbone is None:
        _write(out, {})
        return f"pretrain: ready-made features, no CNN; {out} is empty"
    config = backbone_config(backbone, "backbone", profile_path(dataset))
    key = {name: part.model_dump() for name, part in (("roles", roles), ("pretrain", training))}
    key["backbone"] = backbone
    with scratch_folder(f"pretrain-{dataset}", key, [frames / "frames.npy"]) as scratch:
        if config.weights == PRETRAIN:
            index = read_index(frames / "index.csv")
            weights = pretrain(
                read_frames(frames / "frames.npy", len(index)),
                select(index, roles.train),
                config,
                training,
                set_up(parsed(RuntimeConfig, "runtime")),
                scratch,
            )
        else:
            weights = load_weights(config)
        _write(out, weights)
    return f"pretrain: weights of {config.name} ({config.weights}) in {out}"


def _write(out: Path, weights: dict[str, Tensor]) -> None:
    with replacing(out) as temporary:
        save_tensors(temporary, weights)


if __name__ == "__main__":
    run(backbone_weights, "dataset")

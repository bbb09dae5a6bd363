"""The headline's hasher: a folder with all that lies between a video file and its code."""

from chain.backbones.weights import backbone_config
from chain.core.files import replacing
from chain.core.params import profile_path
from chain.core.tensors import load_tensors
from chain.datasets.manifest import read_index
from chain.hasher.folder import Decoding, HasherConfig, Training, write_folder
from chain.methods.saved_models import read_description
from chain.retrieval.codes import load_codes
from chain.views.training_rows import read_training_rows
from stages.common import ARTIFACTS, parameters, profile, run

OUT = ARTIFACTS / "hasher"


def export(dataset: str, method: str, bits: int) -> str:
    (seed,) = parameters("seed")
    decode, backbone = profile(dataset, "decode", "backbone")
    if decode is None or backbone is None:
        with replacing(OUT) as out:
            out.mkdir()
        return f"export: nothing; {dataset} is made from ready features, so no video can be coded"
    cell = f"{method}_{bits}"
    models = ARTIFACTS / "models" / dataset / cell
    features = ARTIFACTS / "features" / dataset
    clips = read_index(features / "index.csv")
    train = read_training_rows(features / "train.npy", len(clips))
    about = write_folder(
        OUT,
        HasherConfig(
            decode=Decoding(frames=decode["frames"], size=decode["size"]),
            backbone=backbone_config(backbone, "backbone", profile_path(dataset)),
            model=read_description(models),
        ),
        load_tensors(ARTIFACTS / "backbones" / f"{dataset}.pt", "weights of a CNN"),
        load_tensors(models / f"seed_{seed}.pt", f"weights of {method}"),
        load_codes(ARTIFACTS / "codes" / dataset / cell, seed, clips, bits).codes[train],
        Training(dataset=dataset, clips=len(train), seed=seed),
    )
    return f"export: hasher {about.id}, {method} of {bits} bits, in {OUT}"


if __name__ == "__main__":
    run(export, "dataset", "method", "bits")

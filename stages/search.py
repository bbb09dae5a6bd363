"""Which clips of the headline's data set are most like a video file (not a pipeline stage)."""

import argparse
from pathlib import Path

from chain.backbones.networks import load_backbone
from chain.backbones.weights import backbone_config
from chain.core.errors import InputError, errors_of_one_line
from chain.core.params import profile_path
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import read_index
from chain.features.bank import FeatureExtractor, check_finite
from chain.figures.style import save
from chain.methods.saved_models import load_method
from chain.search.index import origin
from chain.search.query import as_text, encode_query, find, open_index, read_query
from chain.search.sheet import contact_sheet, results
from chain.video.pack import DecodeConfig, read_frames
from stages.common import ARTIFACTS, parameters, parsed, profile


def search(video: Path, k: int, sheet: Path | None) -> str:
    (dataset, *_), method, bits, seed = parameters("datasets", "method", "bits", "seed")
    decode, backbone = profile(dataset, "decode", "backbone")
    if decode is None or backbone is None:
        raise InputError(f"{dataset}: made from ready features, so that no video can be coded")
    cnn = backbone_config(backbone, "backbone", profile_path(dataset))
    cell, cnn_file = f"{method}_{bits}", ARTIFACTS / "backbones" / f"{dataset}.pt"
    weights = ARTIFACTS / "models" / dataset / cell / f"seed_{seed}.pt"
    wanted = origin(dataset, method, bits, seed, weights, cnn_file)
    index = open_index(ARTIFACTS / "indexes" / dataset / cell, wanted)
    images = read_query(video, parsed(DecodeConfig, "decode", dataset))

    device = set_up(parsed(RuntimeConfig, "runtime"))
    network = load_backbone(cnn, cnn_file)
    features = FeatureExtractor(network, cnn.size, device)(images)
    check_finite(features, str(video))
    model = load_method(weights)
    clips = read_index(ARTIFACTS / "frames" / dataset / "index.csv")
    found = find(index, encode_query(model, features, device), clips, k)
    if sheet:
        frames = read_frames(ARTIFACTS / "frames" / dataset / "frames.npy", len(clips))
        save(contact_sheet(images, video.name, results(found, clips, frames)), sheet)
    return as_text(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--k", type=int, default=10, help="how many clips")
    parser.add_argument("--sheet", type=Path, help="a PNG that shows them")
    arguments = vars(parser.parse_args())
    with errors_of_one_line():
        print(search(**arguments))

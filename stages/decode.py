"""Decode each clip to a fixed number of frames, packed in one array."""

import shutil

from chain.core.files import replacing
from chain.core.scratch import scratch_folder
from chain.datasets.manifest import read_manifest
from chain.video.engine import decoder
from chain.video.pack import DecodeConfig, pack_frames
from stages.common import ARTIFACTS, data_root, parameters, parsed, profile, run


def decode(dataset: str) -> str:
    source, decoding = profile(dataset, "source", "decode")
    (runtime,) = parameters("runtime")
    clips, out = ARTIFACTS / "clips" / dataset, ARTIFACTS / "frames" / dataset
    manifest_file = clips / "manifest.csv"
    if decoding is None:
        with replacing(out) as temporary:
            temporary.mkdir()
            shutil.copy(manifest_file, temporary / "index.csv")
        return f"decode: ready-made features, nothing to decode; {out / 'index.csv'} lists them"
    config = parsed(DecodeConfig, "decode", dataset)
    root = data_root(source["root"]) if "root" in source else clips
    key = {"frames": config.frames, "size": config.size}  # a higher max_bad decodes nothing anew
    with scratch_folder(f"decode-{dataset}", key, [manifest_file]) as scratch:
        report = pack_frames(
            read_manifest(manifest_file),
            root,
            out,
            config,
            runtime["workers"],
            scratch,
            decoder(runtime),
            f"frames-{dataset}",
        )
    return f"decode: {report}"


if __name__ == "__main__":
    run(decode, "dataset")

"""A collection of the clips of the headline's data set, in which `chain search` looks."""

import shutil

from chain.collection import Collection
from chain.collection.about import ABOUT, has_format
from chain.collection.files import absolute, is_below
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.manifest import read_manifest
from stages.common import ARTIFACTS, data_root, parsed, profile, run

HASHER, OUT = ARTIFACTS / "hasher", ARTIFACTS / "collection"


def collect(dataset: str) -> str:
    source, decode = profile(dataset, "source", "decode")
    if decode is None:
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        return f"collect: nothing; {dataset} is made from ready features, so no video can be coded"
    runtime = parsed(RuntimeConfig, "runtime")
    set_up(runtime)
    clips = ARTIFACTS / "clips" / dataset
    root = data_root(source["root"]) if "root" in source else clips
    files = [root / path for path in read_manifest(clips / "manifest.csv")["path"]]

    collection = opened()
    report = collection.add(files, progress=True, workers=runtime.workers, engine=runtime.engine)
    listed = {absolute(path) for path in files}
    below = [path for path in collection.videos()["path"] if is_below(path, [absolute(root)])]
    collection.remove([path for path in below if path not in listed])
    return f"collect: {len(collection.videos())} videos in {OUT}, {report.new} of them new"


def opened() -> Collection:
    """The collection of the last run if its codes are the hasher's, or else a new one.

    One of another format is made anew, too.
    """
    if (OUT / ABOUT).exists() and has_format(OUT) and Collection.open(OUT).is_of(HASHER):
        return Collection.open(OUT)
    shutil.rmtree(OUT, ignore_errors=True)
    return Collection.create(OUT, HASHER)


if __name__ == "__main__":
    run(collect, "dataset")

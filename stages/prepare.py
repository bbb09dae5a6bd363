"""Fetch, if asked to, render or index the clips of a data set, and write their manifest."""

import shutil

from chain.core.files import replacing, write_json
from chain.core.params import profile_path
from chain.core.runtime import RuntimeConfig
from chain.core.scratch import scratch_folder
from chain.datasets.manifest import (
    Roles,
    check_retrieval,
    check_roles,
    has_labels,
    write_manifest,
)
from chain.datasets.sources import SOURCES, source_config, wanted_downloads
from chain.datasets.splits import settled
from chain.datasets.storable import check_storable
from chain.downloads.fetch import obtain
from stages.common import ARTIFACTS, data_root, parsed, profile, run


def prepare(dataset: str) -> str:
    (source,) = profile(dataset, "source")
    roles = parsed(Roles, "roles", dataset)
    workers = parsed(RuntimeConfig, "runtime").workers
    file = profile_path(dataset)
    config, (_, index) = source_config(source, "source", file), SOURCES[source["kind"]]
    out = ARTIFACTS / "clips" / dataset
    with scratch_folder(f"prepare-{dataset}", {"source": source}, []) as scratch:
        root = data_root(source["root"]) if "root" in source else scratch
        fetched = [obtain(one, root) for one in wanted_downloads(source, "source", file)]
        manifest = index(config, root, workers)
        check_storable(manifest)
        if manifest.attrs.get("drawn"):
            manifest = settled(manifest, roles)
        else:
            (check_retrieval if has_labels(manifest) else check_roles)(manifest, roles)
        write_manifest(scratch / "manifest.csv", manifest)
        write_json(scratch / "notes.json", manifest.attrs.get("notes", []))
        write_json(scratch / "downloads.json", [record for record in fetched if record])
        with replacing(out) as temporary:
            shutil.move(scratch, temporary)
    return f"prepare: {len(manifest)} clips in {out / 'manifest.csv'}"


if __name__ == "__main__":
    run(prepare, "dataset")

"""List the files of each data set, so that DVC sees when a folder has changed."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chain.core.files import replacing, write_json
from stages.common import ARTIFACTS, data_root, parameters, profile, run


def listing() -> str:
    (datasets,) = parameters("datasets")
    with replacing(ARTIFACTS / "listings") as out:
        for dataset in datasets:
            (source,) = profile(dataset, "source")
            write_json(out / f"{dataset}.json", stamp(source))
    return f"listing: the files of {', '.join(datasets)}"


def stamp(source: Mapping[str, Any]) -> dict[str, Any]:
    """How many files a source has, and a hash of their names, sizes and times of change."""
    if "root" not in source:
        return {"files": 0}
    root = data_root(source["root"])
    files = set(_files(root))
    if source.get("split_file"):  # it may lie elsewhere
        files.add(root / source["split_file"])
    digest = hashlib.sha256()
    for path in sorted(files):
        try:
            status = path.stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError as error:
            state = str(error.strerror)
        digest.update(os.fsencode(f"{os.path.relpath(path, root)} {state}\n"))
    return {"files": len(files), "sha256": digest.hexdigest()}


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder, without hidden ones; what links lead to twice counts once."""
    seen = set[str]()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(f for f in folders if f[0] != ".")
        if real not in seen:
            yield from (Path(folder, name) for name in names if name[0] != ".")
        seen.add(real)


if __name__ == "__main__":
    run(listing)

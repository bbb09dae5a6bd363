"""Folders for unfinished work: after a crash, the next run of the same work goes on there."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chain.core.errors import InputError

SCRATCH = Path(".scratch")


@contextmanager
def scratch_folder(
    stage: str, parameters: Mapping[str, Any], inputs: Sequence[Path]
) -> Iterator[Path]:
    """Yield the folder `.scratch/<stage>-<key>`; it is made if need be, and removed on success.

    The key is a hash of the JSON-like `parameters` and of the name, size and modification time of
    each input file. If the body raises or the process dies, the folder stays, and the next call
    with the same arguments yields it as it was left. The body may move the folder elsewhere. Raises
    InputError if an input is missing.
    """
    folder = SCRATCH / f"{stage}-{_key(parameters, inputs)}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    if folder.exists():
        done = folder.with_name(f"{folder.name}.done")  # a half-removed folder is not to be reused
        shutil.rmtree(done, ignore_errors=True)
        folder.rename(done)
        shutil.rmtree(done)


def _key(parameters: Mapping[str, Any], inputs: Sequence[Path]) -> str:
    stamps = []
    for path in sorted(inputs):
        if not path.exists():
            raise InputError(f"{path}: no such file")
        status = path.stat()
        stamps.append([path.name, status.st_size, status.st_mtime_ns])
    text = json.dumps([parameters, stamps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

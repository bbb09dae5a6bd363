"""Files of ready-made features, which the hashing literature shares instead of clips.

* Features are HDF5 files, each with one data set (N, T, F) of floats. A split may have several
  files, listed in order.
* Labels are MATLAB matrices (N, C) of 0 and 1, dense or sparse, of version 5 or 7.3. Several files
  follow each other as the features do. A split that is only trained on needs no labels.
* A row is a clip: `test/00012` is the thirteenth clip of split `test`.
* The files do not name the categories, so these are called by their column, `c001` to `c239`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar

import h5py
import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from scipy.io import loadmat, whosmat
from scipy.sparse import csc_array, csr_array, vstack

from chain.core.errors import InputError, reading
from chain.core.params import Parameters
from chain.core.processes import in_child
from chain.datasets.clip_files import first_few
from chain.datasets.manifest import COLUMNS, SEPARATOR

T = TypeVar("T")

ROW = "#"
"""What stands between a file and a row of it in the manifest's `path`."""
SOUND = "get it again"
SAMPLES, SAMPLE = 64, 64 * 1024  # how many blocks of a file are hashed, and the bytes of each


class SplitFiles(Parameters):
    """The files of one split, relative to the root or absolute."""

    features: Annotated[list[str], Field(min_length=1)]
    labels: list[str] = Field(default=[])
    label_key: str | None = None
    """The name of the matrix in each label file; null if there is only one."""


class ReadyConfig(Parameters):
    """Where the files are, and the shape that their features must have."""

    root: str
    feats: str = "feats"
    """The name of the data set in every feature file."""
    frames: Annotated[int, Field(ge=1)]
    """T, frames a clip."""
    width: Annotated[int, Field(ge=1)]
    """F, the CNN's feature size."""
    splits: Annotated[dict[str, SplitFiles], Field(min_length=1)]

    @field_validator("splits")
    @classmethod
    def _no_file_twice(cls, splits: dict[str, SplitFiles]) -> dict[str, SplitFiles]:
        listed = Counter(name for files in splits.values() for name in files.features)
        name, times = listed.most_common(1)[0]
        if times > 1:
            raise ValueError(f"{name!r} is listed twice; two roles may name the same split")
        return splits


def index_ready(config: ReadyConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest, with one row for each row of the feature files; no feature is read.

    * The splits follow each other by name.
    * `path` is `<file>#<row>`.
    * `bytes` is what the row takes in its file.
    * `sha256` is the file's `file_stamp`.
    * `workers` is not used.

    Raises InputError if a file is missing or unusable, if a shape differs from the declared one, or
    if features and labels differ in their number of rows.
    """
    labels = {
        split: [(root / name, read_labels(root / name, files.label_key)) for name in files.labels]
        for split, files in sorted(config.splits.items())
    }
    widths = {path: matrix.shape[1] for read in labels.values() for path, matrix in read}
    for path, width in widths.items():
        first = next(iter(widths))
        if width != widths[first]:
            raise InputError(f"{path}: {width} categories, but {first} has {widths[first]}")
    tables = []
    for split, files in sorted(config.splits.items()):
        table = pd.concat([_rows(root, name, config) for name in files.features])
        digits = len(str(len(table) - 1))
        table["id"] = [f"{split}/{row:0{digits}d}" for row in range(len(table))]
        table["labels"] = _labels(labels[split], len(table), files) if files.labels else ""
        tables.append(table.assign(split=split))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _rows(root: Path, name: str, config: ReadyConfig) -> pd.DataFrame:
    """The path, bytes and sha256 of every row of one feature file."""
    count, size = _apart(_count_and_size, root / name, config)
    paths = [f"{name}{ROW}{row}" for row in range(count)]
    return pd.DataFrame({"path": paths, "bytes": size, "sha256": file_stamp(root / name)})


def _count_and_size(path: Path, config: ReadyConfig) -> tuple[int, int]:
    """The number of rows in a feature file, and the bytes of one."""
    with open_features(path, config) as data:
        return len(data), config.frames * config.width * data.dtype.itemsize


def _apart(task: Callable[..., T], path: Path, argument: Any) -> T:
    """Return task(path, argument) by a process of its own: some damaged files crash libraries."""
    try:
        return in_child(task, path, argument)
    except InputError as error:
        named = str(error).startswith(str(path))
        raise error if named else InputError(f"{path}: {error}") from None


def _labels(read: list[tuple[Path, Any]], count: int, files: SplitFiles) -> list[str]:
    """The categories of `count` clips, read from matrices that follow each other."""
    matrix = vstack([one for _, one in read], format="csr")
    if matrix.shape[0] != count:
        raise InputError(
            f"{', '.join(str(path) for path, _ in read)}: labels of {matrix.shape[0]:,} clips, but "
            f"{first_few(files.features)} holds {count:,}"
        )
    digits = len(str(matrix.shape[1]))
    names = np.array([f"c{column:0{digits}d}" for column in range(1, matrix.shape[1] + 1)])
    return [SEPARATOR.join(names[matrix.indices[a:b]]) for a, b in pairwise(matrix.indptr)]


@contextmanager
def open_features(path: Path, config: ReadyConfig) -> Iterator[Any]:
    """The data set (N, T, F) of a feature file, as h5py opens it: nothing is read yet.

    Raises InputError if the file is missing, damaged or cut short, if it has no such data set, or
    if the data set has another shape or holds no floats.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of features")
    with ExitStack() as stack:
        with reading(path, "a whole HDF5 file", SOUND):
            file = stack.enter_context(h5py.File(path, "r"))
            data = _data_set(path, file, config)
        yield data


def _data_set(path: Path, file: Any, config: ReadyConfig) -> Any:
    data = file.get(config.feats)
    if not isinstance(data, h5py.Dataset):
        held: list[str] = []
        file.visititems(lambda name, item: held.append(name) if _is_data(item) else None)
        raise InputError(
            f"{path}: no data set {config.feats!r} (it holds: {first_few(held) or 'none'})"
        )
    if data.ndim != 3 or data.shape[1:] != (config.frames, config.width) or not len(data):
        raise InputError(
            f"{path}: {config.feats!r} is {' × '.join(map(str, data.shape))}, not clips × "
            f"{config.frames} × {config.width} (source.frames and source.width)"
        )
    if data.dtype.kind != "f":
        raise InputError(f"{path}: {config.feats!r} holds {data.dtype}, not floats")
    return data


def _is_data(item: Any) -> bool:
    return isinstance(item, h5py.Dataset)


def file_stamp(path: Path) -> str:
    """The SHA-256 of a file's size and of 64 blocks of 64 KiB, spread from its start to its end.

    Up to 4 MiB the blocks are the whole content. In a larger file, a change of a few values between
    the blocks goes unseen. In return the stamp takes milliseconds, where hashing 100 GB takes
    minutes.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for place in np.linspace(0, max(0, size - SAMPLE), SAMPLES):
            file.seek(int(place))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


def read_labels(path: Path, key: str | None) -> Any:
    """The multi-hot matrix (N, C) in a MATLAB file, as a SciPy `csr_array`.

    `key` names the matrix; null stands for the only one. Raises InputError if the file is missing
    or is not MATLAB's, if it has no such matrix, if it has several but `key` is null, or if the
    matrix holds other values than 0 and 1.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of labels")
    return _apart(_read_labels, path, key)


def _read_labels(path: Path, key: str | None) -> Any:
    with reading(path, "a MATLAB file of labels", SOUND):
        matrix = (_read_hdf5 if h5py.is_hdf5(path) else _read_v5)(path, key)
        if matrix.ndim != 2 or matrix.dtype.kind not in "buif":
            raise InputError(f"{path}: not a matrix of numbers")
        matrix = csr_array(matrix)
        matrix.eliminate_zeros()
        others = matrix.data[matrix.data != 1]
        if len(others):
            raise InputError(f"{path}: labels must be 0 or 1, found {others[0]:g}")
    return matrix


def _read_v5(path: Path, key: str | None) -> Any:
    name = _choose([name for name, *_ in whosmat(path, appendmat=False)], key, path)
    return loadmat(path, appendmat=False, variable_names=[name])[name]


def _read_hdf5(path: Path, key: str | None) -> Any:
    """A matrix of version 7.3: MATLAB's columns are HDF5's rows, and a sparse matrix is a group."""
    with h5py.File(path, "r") as file:
        item = file[_choose([name for name in file if not name.startswith("#")], key, path)]
        if "MATLAB_sparse" not in item.attrs:
            return item[()].T
        starts = item["jc"][()]
        shape = (int(item.attrs["MATLAB_sparse"]), len(starts) - 1)
        if "data" not in item:  # a matrix of zeros has neither `data` nor `ir`
            return csc_array(shape)
        return csc_array((item["data"][()], item["ir"][()], starts), shape=shape)


def _choose(held: list[str], key: str | None, path: Path) -> str:
    """The name of the matrix to read."""
    names = first_few(held) or "none"
    if key is None and len(held) != 1:
        raise InputError(f"{path}: name one of its matrices in label_key (it holds: {names})")
    if key is not None and key not in held:
        raise InputError(f"{path}: no matrix {key!r} (it holds: {names})")
    return held[0] if key is None else key

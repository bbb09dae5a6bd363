"""The query: a new video is coded, and the clips most like it are found."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from chain.core.errors import REPRO, InputError
from chain.methods.base import Method
from chain.retrieval.codes import pack
from chain.search.index import Index, Origin, load, search
from chain.training.encode import encode_store
from chain.video.container import VideoError
from chain.video.decode import read_clip
from chain.video.pack import DecodeConfig
from chain.views.store import FeatureStore


def open_index(folder: Path, wanted: Origin) -> Index:
    """Load the index in `folder`.

    Raises InputError if it is unusable, or if anything but `wanted` made it, since distances
    between the codes of different models mean nothing.
    """
    index = load(folder)
    for name, value in wanted:
        if getattr(index.origin, name) != value:
            raise InputError(f"{folder}: the index was made with different {name}; {REPRO}")
    return index


def read_query(video: Path, decode: DecodeConfig) -> NDArray[np.uint8]:
    """Decode a video file as the data set's clips are decoded: frames (D, S, S, 3).

    Raises InputError if the file is missing, is no video, or no frame of it decodes.
    """
    if not video.is_file():
        raise InputError(f"{video}: no such file")
    try:
        return read_clip(video, decode.frames, decode.size).images
    except VideoError as error:
        raise InputError(f"{video}: {error}") from None


def encode_query(
    model: Method, features: NDArray[np.float16], device: torch.device
) -> NDArray[np.uint8]:
    """Compute the packed code (1, b / 8) of one clip from its features (D, F)."""
    one = FeatureStore(
        index=pd.DataFrame({"id": ["query"]}),
        clean=features[None],
        train=np.arange(0),
        banks={},
    )
    return pack(encode_store(model, one, device))


def find(index: Index, code: NDArray[np.uint8], clips: pd.DataFrame, k: int) -> pd.DataFrame:
    """Find the k clips nearest to `code` (1, b / 8).

    Returns a table with columns rank, distance, id and labels, the nearest clip first. `clips` has
    a row with id and labels for each clip. Raises InputError as `search` does, or if
    the index names a clip that is not among them.
    """
    distances, rows = search(index.faiss, code, k)
    found = rows[0] >= 0
    ids = index.ids[rows[0][found]]
    labels = clips.set_index("id")["labels"]
    for name in ids:
        if name not in labels.index:
            raise InputError(f"index: {str(name)!r} is not among the clips; {REPRO}")
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(ids) + 1),
            "distance": distances[0][found],
            "id": ids,
            "labels": labels[ids].to_numpy(),
        }
    )


def as_text(found: pd.DataFrame) -> str:
    """Write the table that `find` returns in aligned columns."""
    width = max(map(len, found["id"]), default=0)
    lines = [f"rank  distance  {'id':{width}}  labels"]
    for row in found.itertuples():
        lines.append(f"{row.rank:4}  {row.distance:8}  {row.id:{width}}  {row.labels}".rstrip())
    return "\n".join(lines)

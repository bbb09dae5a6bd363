"""Near copies among clips, found by their fingerprints."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from chain.core.kept import Kept
from chain.datasets.manifest import contents
from chain.datasets.splits import groups
from chain.pipeline.code import made_by
from chain.video import fingerprint as video

NEAR = 16
"""Bits of 63 by which the pictures of two near copies differ on average, at most. docs/data.md has
the figures behind this choice."""
PICTURE = 64  # bits of a picture's hash
BLOCK = 256  # fingerprints that are looked up at a time
MANY = 4  # links a clip; if there are more, only those to each group's first clip are kept


def fingerprints(manifest: pd.DataFrame, root: Path, workers: int) -> NDArray[np.uint8]:
    """The fingerprint (24,) of each clip of a manifest, 0 where it has none.

    They are taken by `workers` threads, and kept for later runs (see `Kept`).
    """
    files = contents(manifest)
    paths = dict(zip(files, manifest["path"], strict=True))  # of copies, one is enough
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    kept = Kept(f"fingerprints-{place}", made_by(Path(video.__file__)))
    known = {file: kept.find("fingerprints", file) for file in paths}
    found = {file: one for file, one in known.items() if one is not None}
    todo = [file for file in paths if file not in found]
    with ThreadPoolExecutor(workers) as pool:
        taken = pool.map(video.fingerprint, [root / paths[file] for file in todo])
        bar = tqdm(taken, total=len(todo), desc="fingerprint", unit="clip", mininterval=1)
        found |= zip(todo, bar, strict=True)
    if sound := [file for file, one in found.items() if one.any()]:
        kept.replace({"fingerprints": (np.stack([found[file] for file in sound]), sound)})
    return np.stack([found[file] for file in files])


def near_copies(fingerprints: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pairs of rows (P, 2) of fingerprints (N, 24) that link all near copies.

    Two clips are near copies if the same pictures of them are flat, and if the others differ by at
    most NEAR bits each on average. Of equal fingerprints, and where there are very many near
    copies, clips are linked to the first one of their group only. A fingerprint of 0 is no
    fingerprint, so it is linked to none.
    """
    rows = np.flatnonzero(fingerprints.any(axis=1))
    if not len(rows):
        return np.empty((0, 2), np.int64)
    different, first, place = np.unique(
        fingerprints[rows], axis=0, return_index=True, return_inverse=True
    )
    shows = np.unpackbits(different, axis=1)[:, ::PICTURE]
    padded = np.pad(different, ((0, 0), (0, -different.shape[1] % 32)))  # 4 times faster so
    index = faiss.IndexBinaryFlat(8 * padded.shape[1])
    index.add(padded)
    most = NEAR * shows.shape[1]
    links = np.stack([first[place], np.arange(len(rows))], axis=1)
    links = links[links[:, 0] != links[:, 1]]
    for start in range(0, len(different), BLOCK):
        limits, distances, others = index.range_search(padded[start : start + BLOCK], most + 1)
        counts: NDArray[np.int64] = np.diff(limits).astype(np.int64)
        ones = start + np.repeat(np.arange(len(counts)), counts)
        near = (ones < others) & (distances <= NEAR * shows[ones].sum(axis=1))
        near &= (shows[ones] == shows[others]).all(axis=1)
        alike = first[np.stack([ones[near], others[near]], axis=1)]
        links = np.concatenate([links, alike])
        if len(links) > MANY * len(rows):  # of clips that are all alike, there are too many pairs
            group = groups(len(rows), links)
            links = np.stack([group, np.arange(len(rows))], axis=1)[group != np.arange(len(rows))]
    pairs: NDArray[np.int64] = np.unique(np.sort(rows[links], axis=1), axis=0)
    return pairs

"""How well a trained CHAIN tells the order of frames."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from chain.core.files import by_seed
from chain.datasets.manifest import Roles, select
from chain.methods.chain import Chain
from chain.methods.saved_models import load_method
from chain.views.order import permute
from chain.views.store import FeatureStore

BATCH = 256
DRAWS = 4  # permutations of each clip

Counts = NDArray[np.int64]


def trained_chains(folder: Path, device: torch.device) -> dict[int, Chain]:
    """The models of CHAIN in a folder by their seeds. There is none if CHAIN was not trained."""
    models = {seed: load_method(path) for seed, path in by_seed(folder, ".pt").items()}
    return {seed: model.to(device) for seed, model in models.items() if isinstance(model, Chain)}


def new_clips(index: pd.DataFrame, roles: Roles) -> NDArray[np.int64]:
    """The rows of the queries, or of the training clips where there is no query."""
    queries = np.flatnonzero(index["split"] == roles.query)
    return queries if len(queries) else select(index, roles.train)


def order_groups(
    index: pd.DataFrame, roles: Roles, pairs: Collection[str] = ()
) -> dict[str, NDArray[np.int64]]:
    """The rows of the clips whose order is asked, by the name of their group.

    The groups are the queries and the training clips. Queries of the categories `pairs`, which
    differ from another in order only, are a group of their own. A group without clips is left out.
    """
    queries = np.flatnonzero(index["split"] == roles.query)
    paired = index["labels"].iloc[queries].isin(list(pairs)).to_numpy()
    groups = {
        "pairs differing in order only": queries[paired],
        "other queries" if paired.any() else "queries": queries[~paired],
        "training clips": select(index, roles.train),
    }
    return {name: rows for name, rows in groups.items() if len(rows)}


def order_chance(model: Chain) -> float:
    """The accuracy of guessing the position of a frame that is known to have moved.

    Where the T places are marked, it can't be the place at which the frame stands, and the chance
    is 1 / (T - 1). Otherwise it is 1 / T.
    """
    return 1 / (model.frames - 1 if model.config.order.positions else model.frames)


@torch.inference_mode()
def order_counts(model: Chain, store: FeatureStore, clips: NDArray[np.int64], seed: int) -> Counts:
    """Count how often CHAIN takes a moved frame of each true position for one of each position.

    `clips` (M,) are rows of the store. Their clean frames are permuted as in training, four times a
    clip, drawn with `seed`. A frame that stands in its own place does not count. Returns the counts
    (T, T), with a row for each true position and a column for each predicted one.
    """
    model.eval()
    device = next(model.parameters()).device
    random = np.random.default_rng(seed)
    counts = np.zeros((model.frames, model.frames), dtype=np.int64)
    asked = np.repeat(clips, DRAWS)
    for start in range(0, len(asked), BATCH):
        chosen = asked[start : start + BATCH]
        order = permute(len(chosen), model.frames, model.config.order.share, random)
        features = store.clean_frames(chosen, model.frames).to(device)
        logits = model.order_logits(features, torch.from_numpy(order).to(device))
        moved = order != np.arange(model.frames)
        np.add.at(counts, (order[moved], logits.argmax(dim=2).cpu().numpy()[moved]), 1)
    return counts


def order_study(
    models: Mapping[int, Chain],
    store: FeatureStore,
    roles: Roles,
    pairs: Collection[str],
    seed: int,
) -> tuple[dict[str, Counts], pd.DataFrame]:
    """Ask the models trained from each seed for the order of the clips of each `order_groups`.

    Returns the counts (T, T) of each group, summed over models, and the share of right answers of
    each group and model: columns clips (the group), seed, accuracy and chance.
    """
    total, rows = {}, []
    for group, clips in order_groups(store.index, roles, pairs).items():
        found = {
            number: order_counts(model, store, clips, seed) for number, model in models.items()
        }
        total[group] = np.sum(list(found.values()), axis=0)
        rows += [
            (group, number, np.trace(counts) / counts.sum(), order_chance(models[number]))
            for number, counts in found.items()
        ]
    return total, pd.DataFrame(rows, columns=["clips", "seed", "accuracy", "chance"])

"""Updating a hasher: it learns what came since, and stored codes stay comparable and untouched.

The method goes on learning from the new clips, and from as many of the old ones, whose stored
features are replayed. To its own loss comes a contrast with all stored codes, as with the keys of a
memory bank (arXiv 1805.01978):

* A view of an old clip should find its own stored code among all. So codes of the updated hasher
  can be compared with stored ones, as in backward-compatible training (arXiv 2003.11942).
* A view of a new clip should be near no stored code. The stored codes stay where they are, so it is
  the new clips that have to move away from clips that merely look alike.
"""

import math
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from chain.core.errors import InputError, reading
from chain.hasher.folder import About, write_folder
from chain.hasher.hasher import Hasher
from chain.methods.base import Method, MethodConfig
from chain.retrieval.codes import IDS, Codes, load_codes, pack, unpack
from chain.training.encode import encode_store
from chain.training.loop import train
from chain.views.store import FeatureStore, gather

# Chosen on validation queries of the demo (docs/choices.md).
SHARE = 0.2  # of the epochs that the hasher was trained for
RATE = 2.0  # times the rate at which it was trained
WEIGHT = 4.0  # of the contrast with stored codes
TEMPERATURE = 0.2  # of that contrast
FRESH = 0.25  # share of its views that are of new clips
UPDATED = (
    "conmh",
    "chain",
    "chain_plus",
)  # others keep clusters or neighbours of the clips they were fitted to
COMPARABLE = 0.25  # share of bits that may differ: a few by an update, half by another hasher


class Memory(NamedTuple):
    """The stored codes of the K old training clips, and views of these and of the L new ones."""

    bank: NDArray[np.float16]
    """Features (M, V, D, F) of views of clips."""
    old: NDArray[np.int64]
    """The row in the bank of each old clip, (K,)."""
    new: NDArray[np.int64]
    """The row in the bank of each new clip, (L,)."""
    signs: Tensor
    """The stored codes as -1 and +1, (K, b)."""


def contrast_with_stored(values: Tensor, signs: Tensor, own: Tensor, temperature: float) -> Tensor:
    """How far old clips are from finding their own stored code, and how near new ones are to any.

    With s the cosine, t the temperature, and the mean over the K stored codes:

        old clip: log(mean exp(s / t)) - s(its own code) / t
        new clip: log(mean exp(s / t))

    Args:
        values: (B, b) real codes, of the A old clips before those of the new ones.
        signs: (K, b) the stored codes.
        own: (A,) the row in `signs` of each old clip's code.
        temperature: above 0. The lower it is, the more do the nearest stored codes count.

    Returns:
        () the mean over the B clips.
    """
    logits = F.normalize(values, dim=1) @ F.normalize(signs, dim=1).T / temperature  # (B, K)
    crowded = logits.logsumexp(dim=1) - math.log(len(signs))
    found = logits[: len(own)].gather(1, own[:, None])
    return (crowded.sum() - found.sum()) / len(values)


class Update(Method):
    """A trained method that goes on learning, in contrast with the codes that are stored."""

    Config = MethodConfig

    signs: Tensor

    def __init__(self, model: Method, memory: Memory, epochs: int) -> None:
        """Wrap `model`, which is changed. InputError if it learns nothing by gradient."""
        training = model.config.training
        if training is None:
            raise InputError(f"{type(model).__name__} learns nothing by gradient: no update")
        shorter = training.model_copy(update={"epochs": epochs, "lr": RATE * training.lr})
        super().__init__(model.config.model_copy(update={"training": shorter}), 0, model.bits)
        self.model, self.memory = model, memory
        self.register_buffer("signs", memory.signs, persistent=False)
        self.passed = max(0, training.epochs - epochs)

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Go on where the first training was so many epochs before its end."""
        self.model.start_epoch(self.passed + epoch, store)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step on the B clips `rows` sees.

        Returns:
            * what the method draws;
            * views (B, T, F), the first A of old clips, the others of new ones;
            * which of the stored codes the old clips have, (A,).
        """
        drawn = self.model.draw(store, rows, random)
        bank, old, new, _ = self.memory
        fresh = random.integers(len(new), size=round(FRESH * len(rows)))
        own = random.integers(len(old), size=len(rows) - len(fresh))
        views = random.integers(bank.shape[1], size=len(rows))
        places = np.concatenate([old[own], new[fresh]])
        features = gather(bank, places, views, store.encoded_frames(self.frames))
        return (*drawn, features, torch.from_numpy(own))

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        *drawn, features, own = batch
        parts = self.model.losses(*drawn)
        stored = contrast_with_stored(self.model.encode(features), self.signs, own, TEMPERATURE)
        return {**parts, "loss": parts["loss"] + WEIGHT * stored, "stored": stored}

    def encode(self, features: Tensor) -> Tensor:
        return self.model.encode(features)


def fine_tune(
    model: Method, store: FeatureStore, stored: Codes, seed: int, device: torch.device
) -> tuple[Method, NDArray[np.int64]]:
    """Update a trained method from features of old and new clips; `model` stays as it is.

    `stored` has the codes of the old clips; training clips of `store` without one are new. Returns
    the updated method, and the rows of `store` that it has seen. Raises InputError if no training
    clip is new, none is old, or the method learns nothing by gradient.
    """
    codes = dict(zip(stored.ids.tolist(), unpack(stored.codes), strict=True))
    ids = store.index["id"].to_numpy()[store.train].tolist()
    old = np.array([name in codes for name in ids], dtype=np.bool_)
    if old.all() or not old.any():
        which = "every training clip has" if old.all() else "no training clip has"
        raise InputError(f"nothing to update: {which} a stored code")
    signs = np.stack([codes[name] for name, there in zip(ids, old, strict=True) if there])
    bank, rows = store.bank(getattr(model.config, "spatial", "none"))
    memory = Memory(bank, rows[old], rows[~old], torch.from_numpy(signs).float())
    part = part_of(store, _replayed(old, seed))
    model = deepcopy(model).requires_grad_(True)
    epochs = max(1, round(SHARE * model.config.training.epochs)) if model.config.training else 1
    updated = Update(model, memory, epochs)
    torch.manual_seed(seed)
    model.fit(part)
    with tempfile.TemporaryDirectory() as scratch:
        train(updated, part, seed, device, Path(scratch))
    return model.eval().requires_grad_(False), part.train


def stored_codes(folder: Path, seed: int, bits: int) -> Codes:
    """The codes of a collection, of the clips that their own table of ids names; InputError."""
    with reading(folder / IDS, "a table of ids (.csv with the column `id`)"):
        clips = pd.read_csv(folder / IDS, dtype=str, keep_default_na=False)[["id"]]
    return load_codes(folder, seed, clips, bits)


def update(hasher: Hasher, store: FeatureStore, stored: Codes, dataset: str, folder: Path) -> About:
    """Write the update of a hasher to `folder`; returns what its `hasher.json` says.

    Args:
        hasher: made the stored codes.
        store: the features of old and new clips by the hasher's CNN, with augmented views.
        stored: the codes of the old clips.
        dataset: the name of the new clips' data set, for `hasher.json`.
        folder: is whole and new afterwards, or as it was.

    Raises InputError as `fine_tune`, or if the codes are not by this hasher from these features.
    """
    check_origin(hasher, store, stored)
    method = hasher.about.config.model.method
    if hasher.model.config.training and method not in UPDATED:
        raise InputError(f"{method} can't be updated, only these can: {', '.join(UPDATED)}")
    seed = hasher.about.trained_on.seed
    model, rows = fine_tune(hasher.model, store, stored, seed, hasher.device)
    seen = FeatureStore(store.index.iloc[rows], store.clean[rows], np.arange(len(rows)), {})
    return write_folder(
        folder,
        hasher.about.config,
        hasher.extractor.backbone.network.state_dict(),
        model.state_dict(),
        pack(encode_store(model, seen, hasher.device)),
        hasher.about.trained_on.model_copy(
            update={"dataset": dataset, "clips": len(rows), "updated_from": hasher.id}
        ),
    )


def check_origin(hasher: Hasher, store: FeatureStore, stored: Codes) -> None:
    """Raise InputError unless the hasher's codes of the stored features are near the stored codes.

    They are equal if it made them, and nearly so if it is an update of the hasher that did.
    """
    described = hasher.about.config.model
    if stored.bits != described.bits:
        raise InputError(f"codes: of {stored.bits} bits, hasher {hasher.id} makes {described.bits}")
    if store.width != described.feature_width or store.dense != hasher.about.config.decode.frames:
        raise InputError(
            f"features: {store.dense} × {store.width} a clip, hasher {hasher.id} has "
            f"{hasher.about.config.decode.frames} × {described.feature_width}"
        )
    place = {name: row for row, name in enumerate(store.index["id"].tolist())}
    known = [(place[name], row) for row, name in enumerate(stored.ids.tolist()) if name in place]
    if not known:
        raise InputError("codes: there are features of none of their clips")
    rows, own = np.array(known[:: -(-len(known) // 256)]).T
    some = FeatureStore(store.index.iloc[rows], store.clean[rows], np.arange(0), {})
    again = pack(encode_store(hasher.model, some, hasher.device))
    differing = np.unpackbits(again ^ stored.codes[own]).mean()
    if differing > COMPARABLE:
        raise InputError(
            f"codes: {differing:.0%} of their bits are not those of hasher {hasher.id}, so "
            "another hasher made them, or another CNN the features"
        )


def part_of(store: FeatureStore, chosen: NDArray[np.int64]) -> FeatureStore:
    """The same clips, but only `chosen` (K,), indices into `store.train`, are for training.

    The banks of the chosen clips are read into memory.
    """
    banks = {kind: bank[chosen] for kind, bank in store.banks.items()}
    return FeatureStore(store.index, store.clean, store.train[chosen], banks)


def _replayed(old: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """All new training clips, and as many of the old ones, drawn by the seed; in their order."""
    new, rest = np.flatnonzero(~old), np.flatnonzero(old)
    replay = np.random.default_rng(seed).permutation(rest)[: len(new)]
    return np.sort(np.concatenate([new, replay]))

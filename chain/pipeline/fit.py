"""Sizes of networks and trainings that follow the number of training clips.

A profile says `fit` in place of a number, such as `methods.all.training.batch: fit`. From
`PUBLISHED_FROM` training clips on, that is the published number. With fewer of them:

* Sizes are the published ones, but not above what `Limits` allows.
* The epochs are as many as it takes to make `Limits.steps` steps. BTH, which trains twice and
  contrasts nothing, takes three times as many.
* The phases of a training keep their published share of the epochs.
* The learning rate is `LEAST_RATE`, or the published one if that is higher: the steps are fewer.

The numbers are ours. They give about what the profile of `jhmdb12` has for its 350 training clips.
"""

import math
from collections.abc import Mapping, Set
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, Self

from chain.core.params import leaves

FIT = "fit"

PUBLISHED_FROM = 10_000
BATCH_BY_ROOT = 3.5
LEAST_CLUSTERS, CLIPS_BY_CLUSTER = 5, 5  # BTH and MCMSH need five
LEAST_DEPTH, CLIPS_BY_BLOCK = 1, 800
LEAST_WIDTH, CLIPS_BY_UNIT = 256, 10
LEAST_STEPS = 360
LEAST_RATE = 5e-4


@dataclass(frozen=True)
class Limits:
    """What a number of training clips allows."""

    batch: int
    """Clips in a step. It is the power of two up to 3.5 times the root of the number of clips."""
    clusters: int
    """Clusters of k-means, anchors or prototypes: one for 5 clips, at least 5."""
    depth: int
    """Blocks of an encoder or a decoder: one for 800 clips, at least 1."""
    width: int
    """Width of a network: the power of two up to a tenth of the number of clips, at least 256."""
    steps: int
    """Length of a training: as many steps as clips, at least 360."""

    @classmethod
    def of(cls, clips: int) -> Self:
        """The limits for so many training clips."""
        return cls(
            batch=_power_of_two(min(clips, BATCH_BY_ROOT * math.sqrt(clips))),
            clusters=max(LEAST_CLUSTERS, clips // CLIPS_BY_CLUSTER),
            depth=max(LEAST_DEPTH, clips // CLIPS_BY_BLOCK),
            width=max(LEAST_WIDTH, _power_of_two(clips / CLIPS_BY_UNIT)),
            steps=max(LEAST_STEPS, clips),
        )


def _power_of_two(most: float) -> int:
    """The largest power of two up to `most`, at least 2."""
    return int(2 ** math.floor(math.log2(max(most, 2))))


LIMITED = {
    "anchors": "clusters",
    "clusters": "clusters",
    "decoder.depth": "depth",
    "decoder.width": "width",
    "encoder.depth": "depth",
    "encoder.width": "width",
    "training.batch": "batch",
    "width": "width",
}
"""The sizes that may say `fit`, and the limit of each."""
PHASES = {"pretrain_epochs", "warmup_epochs"}
KEYS = {*LIMITED, *PHASES, "prototypes", "training.epochs", "training.lr"}
"""All parameters that may say `fit`."""


def fitted(tree: Mapping[str, Any], keys: Set[str], clips: int) -> dict[str, Any]:
    """Fit a method's parameters at dotted `keys`, some of `KEYS`, to so many training clips.

    `tree` holds all parameters of the method, with the published values at `keys`.
    """
    if clips >= PUBLISHED_FROM:
        return dict(tree)
    published, limits = leaves(tree), Limits.of(clips)
    values = published.copy()
    for key in LIMITED.keys() & keys:
        values[key] = min(published[key], getattr(limits, LIMITED[key]))
    if "prototypes" in keys:
        share = min(1.0, limits.clusters / max(published["prototypes"]))
        values["prototypes"] = [max(2, round(share * count)) for count in published["prototypes"]]
    if "training.lr" in keys:
        values["training.lr"] = max(published["training.lr"], LEAST_RATE)
    if "training.epochs" in keys:
        steps = limits.steps * (3 if "pretrain_epochs" in published else 1)
        values["training.epochs"] = math.ceil(steps / math.ceil(clips / values["training.batch"]))
    for key in PHASES & keys:
        values[key] = published[key] * values["training.epochs"] // published["training.epochs"]
    return _with(tree, {key: values[key] for key in keys})


def _with(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested mappings with other values at dotted keys."""
    found = deepcopy(dict(tree))
    for key, value in values.items():
        *above, last = key.split(".")
        reduce(getitem, above, found)[last] = value
    return found

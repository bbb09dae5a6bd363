"""The ablations: scores of a method's variants beside those of the method as it is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chain.core.params import leaves
from chain.results.grid import over_seeds
from chain.results.labels import dataset_label, method_label
from chain.results.score_cells import wide_cells_by_k
from chain.results.table import Table

DEFAULT = "default"
KEYS = ("dataset", "method", "table", "variant")
TITLES = {
    "encoder": "Temporal encoder",
    "sampling": "Frame sampling",
    "spatial": "Spatial augmentation",
    "tasks": "Tasks",
    "preference": "Scenes: preference of affinity propagation",
    "temperature": "Temperature",
    "strength": "Strength of the spatial augmentation",
    "order": "Form of the order task",
    "additions": "Additions",
}


def run_here(changes: Mapping[str, Any], variants: pd.DataFrame) -> dict[str, Any]:
    """The changes of those variants that a data set has scores of; it lacks views for others."""
    names = set(variants["variant"])
    return {name: change for name, change in changes.items() if name in names}


def ablation_scores(variants: pd.DataFrame, unchanged: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of the method itself, under the name `default`, and of its variants.

    `variants` has columns dataset, method, table, variant, seed, k and the mAPs. `unchanged` has
    the same columns without table and variant.
    """
    first = variants.iloc[0]
    base = unchanged.assign(table=first["table"], variant=DEFAULT)
    columns = list(variants.columns)
    return over_seeds(pd.concat([base[columns], variants], ignore_index=True), "k", KEYS)


def ablation_table(
    scores: pd.DataFrame, changed: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]
) -> Table:
    """A row for each variant in `ablation_scores`, with its parameters; the best mAPs are bold.

    `changed` holds each variant's changed parameters, nested, and `defaults` those of the method.
    The table shows the value of every parameter that some variant changes.
    """
    wide = wide_cells_by_k(scores, ["variant"], ["k"])
    own = [leaves(defaults) | leaves(changed.get(variant, {})) for variant in wide["variant"]]
    shown = dict.fromkeys(key for tree in changed.values() for key in leaves(tree))
    for place, key in enumerate(shown, start=1):
        wide.insert(place, key, [str(parameters[key]) for parameters in own])
    wide["variant"] = wide["variant"].str.replace("_", " ")
    first = scores.iloc[0]
    title = TITLES.get(first["table"], first["table"])
    method, dataset = method_label(first["method"]), dataset_label(first["dataset"])
    return Table.of(wide, f"{title} ({method}, {dataset})")

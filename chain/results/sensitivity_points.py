"""The points of the sensitivity figure, taken from the ablations."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chain.core.params import leaves
from chain.results.ablation_tables import DEFAULT

PARAMETERS = {
    "scene.preference": "AP preference",
    "temperature": "temperature",
    "spatial": "augmentation strength",
    "weights.order": "weight of the order task",
    "weights.scene": "weight of the scene task",
}
"""The parameters that the sensitivity figure shows, with their names in print."""
OTHER_KINDS = ("per_frame", "feature")  # these are other kinds of augmentation, not strengths


def sensitivity_points(
    scores: pd.DataFrame,
    changed: Mapping[str, Mapping[str, Mapping[str, Any]]],
    defaults: Mapping[str, Any],
    strengths: Mapping[str, float],
    k: int,
) -> pd.DataFrame:
    """A point for every variant that changes one of `PARAMETERS` alone, and one for the default.

    `scores` are the `ablation_scores` of one method's tables on one data set. `changed` holds the
    changes of each variant by table, and `defaults` the method's parameters. `strengths` are the
    numbers behind the kinds of augmentation. The result is what `sensitivity` draws.
    """
    at_k = {
        (row["table"], row["variant"]): row for row in scores[scores["k"] == k].to_dict("records")
    }
    own, points = leaves(defaults), []
    for key, name in PARAMETERS.items():
        found = {
            leaves(tree)[key]: (table, variant)
            for table, variants in changed.items()
            for variant, tree in variants.items()
            if list(leaves(tree)) == [key]
        }
        if not found or own[key] in OTHER_KINDS:
            continue
        found[own[key]] = next(iter(found.values()))[0], DEFAULT
        for value, place in found.items():
            if value in OTHER_KINDS:
                continue
            row = at_k[place]
            points.append(
                {
                    "parameter": name,
                    "value": strengths[value] if key == "spatial" else float(value),
                    "map": row["map_strict"],
                    "sd": row.get("sd_strict"),
                    "default": value == own[key],
                }
            )
    return pd.DataFrame(points)

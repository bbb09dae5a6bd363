"""The ablations beside the unchanged method: tables, and the points of the sensitivity."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chain.core.params import leaves
from chain.figures.style import dataset_label, method_style
from chain.results.grid import over_seeds

DEFAULT = "default"
TRANSFER = ("source", "dataset", "method")
KEYS = ("dataset", "method", "table", "variant")
TITLES = {
    "encoder": "Temporal encoder",
    "sampling": "Frame sampling",
    "spatial": "Spatial augmentation",
    "tasks": "Tasks",
    "preference": "Scenes: preference of affinity propagation",
    "temperature": "Temperature",
    "strength": "Strength of the spatial augmentation",
    "order": "Weight of the order task",
    "scene": "Weight of the scene task",
    "additions": "Additions",
}
PARAMETERS = {
    "scene.preference": "AP preference",
    "temperature": "temperature",
    "spatial": "augmentation strength",
    "weights.order": "weight of the order task",
    "weights.scene": "weight of the scene task",
}
"""What the sensitivity figure shows: key -> name in print."""
OTHER_KINDS = ("per_frame", "feature")  # of augmentation, not other strengths of it


def ablation_scores(variants: pd.DataFrame, unchanged: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of a table's variants, the unchanged method (`default`) first.

    `variants` has columns dataset, method, table, variant, seed, k and the mAPs; `unchanged` has
    the same but table and variant.
    """
    first = variants.iloc[0]
    base = unchanged.assign(table=first["table"], variant=DEFAULT)
    columns = list(variants.columns)
    return over_seeds(pd.concat([base[columns], variants], ignore_index=True), "k", KEYS)


def ablation_markdown(
    scores: pd.DataFrame, changed: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]
) -> str:
    """One table of `ablation_scores`: a row a variant, with what it changes; the best mAPs in bold.

    `changed` holds each variant's changed parameters, nested; `defaults` the method's own.
    """
    keys = list(dict.fromkeys(key for tree in changed.values() for key in leaves(tree)))
    own = leaves(defaults)
    rows = scores.assign(mean=scores["map_strict"].map("{:.3f}".format))
    best = rows["mean"] == rows.groupby("k")["mean"].transform("max")
    text = rows["mean"]
    if "sd_strict" in rows:
        known = rows["sd_strict"].notna()
        text = text.mask(known, text + " ± " + rows["sd_strict"].map("{:.3f}".format))
    rows["text"] = text.mask(best, "**" + text + "**")
    wide = rows.pivot(index="variant", columns="k", values="text")
    first = scores.iloc[0]
    title = f"{TITLES.get(first['table'], first['table'])} ({method_style(first['method']).label}, "
    lines = [
        ["variant", *keys, *(f"mAP@{k}" for k in wide.columns)],
        ["---", *("---" for _ in keys), *("--:" for _ in wide.columns)],
    ]
    for variant in scores["variant"].unique():
        values = own | leaves(changed.get(variant, {}))
        settings = [str(values[key]) for key in keys]
        lines.append([str(variant).replace("_", " "), *settings, *wide.loc[variant]])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"### {title}{dataset_label(first['dataset'])})\n\n{table}"


def transfer_markdown(scores: pd.DataFrame) -> str:
    """Strict mAP@K of methods trained on one data set (`source`) and evaluated on another."""
    if scores.empty:
        return "No two data sets of this run share a CNN.\n"
    topk = sorted(scores["k"].unique())
    lines = [
        ["trained on", "retrieval on", "method", *(f"mAP@{k}" for k in topk)],
        ["---", "---", "---", *("--:" for _ in topk)],
    ]
    for (source, dataset, method), cell in scores.groupby(list(TRANSFER), sort=False):
        names = [dataset_label(str(source)), dataset_label(str(dataset))]
        names.append(method_style(str(method)).label)
        by_k = cell.set_index("k")
        lines.append([*names, *(_mean_and_sd(by_k.loc[k]) for k in topk)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _mean_and_sd(row: pd.Series) -> str:
    text = f"{row['map_strict']:.3f}"
    return f"{text} ± {row['sd_strict']:.3f}" if "sd_strict" in row else text


def sensitivity_points(
    scores: pd.DataFrame,
    changed: Mapping[str, Mapping[str, Mapping[str, Any]]],
    defaults: Mapping[str, Any],
    strengths: Mapping[str, float],
    k: int,
) -> pd.DataFrame:
    """The points of `sensitivity`: every variant that changes one of `PARAMETERS` and nothing else.

    `scores` are `ablation_scores` of one method's tables on one data set, `changed` holds their
    variants' changes by table; `strengths` are the numbers behind the kinds of augmentation.
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

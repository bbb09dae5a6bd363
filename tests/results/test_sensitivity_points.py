from typing import Any

import pandas as pd
from parameter_files import EXPERIMENT

from chain.core import params
from chain.features.augmentation import STRENGTHS
from chain.figures.sensitivity import sensitivity
from chain.pipeline.layers import Layers
from chain.results.ablation_tables import ablation_scores
from chain.results.sensitivity_points import PARAMETERS, sensitivity_points

DEFAULTS = {
    "frames": 8,
    "encoder": {"kind": "transformer", "width": 128},
    "spatial": "consistent",
    "weights": {"contrastive": 1.0, "order": 0.1, "scene": 0.1},
    "temperature": 0.5,
    "scene": {"preference": 1.0},
}
VARIANT = ["variant", "seed", "k", "map_strict", "map_ssvh"]


def variants(
    *rows: tuple[object, ...], table: str = "tasks", method: str = "chain"
) -> pd.DataFrame:
    """As the stage reads them: the table's CSV, then the columns it adds."""
    frame = pd.DataFrame(list(rows), columns=VARIANT)
    return frame.assign(dataset="demo", method=method, table=table)


def unchanged(*rows: tuple[object, ...], method: str = "chain") -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=VARIANT[1:])
    return frame.assign(dataset="demo", method=method, bits=64)


TWO_SEEDS = ablation_scores(
    variants(
        ("no_scenes", 0, 5, 0.2, 0.5),
        ("no_scenes", 0, 20, 0.4, 0.5),
        ("no_scenes", 1, 5, 0.3, 0.6),
        ("no_scenes", 1, 20, 0.4, 0.7),
        ("alone", 0, 5, 0.6, 0.5),
        ("alone", 0, 20, 0.1, 0.5),
        ("alone", 1, 5, 0.8, 0.5),
        ("alone", 1, 20, 0.1, 0.5),
    ),
    unchanged((0, 5, 0.1, 0.4), (0, 20, 0.45, 0.2), (1, 5, 0.1, 0.4), (1, 20, 0.35, 0.2)),
)
CHANGED: dict[str, dict[str, Any]] = {
    "no_scenes": {"weights": {"scene": 0.0}},
    "alone": {"weights": {"scene": 0.0, "order": 0.0}, "spatial": "none"},
}


def sweep(*tables: tuple[str, dict[str, float]], default: float = 0.4) -> pd.DataFrame:
    """Scores at k = 20 of tables of variants, each beside the default; at k = 5 all are 0."""
    parts = []
    for table, maps in tables:
        at_20 = [(name, 0, 20, value, 0.0) for name, value in maps.items()]
        at_5 = [(name, 0, 5, 0.0, 0.0) for name in maps]
        own = unchanged((0, 5, 0.0, 0.0), (0, 20, default, 0.0))
        parts.append(ablation_scores(variants(*at_5, *at_20, table=table), own))
    return pd.concat(parts)


def test_points_by_hand() -> None:
    changed: dict[str, dict[str, Any]] = {
        "strength": {"weak": {"spatial": "weak"}, "strong": {"spatial": "strong"}},
        "spatial": {
            "per_frame": {"spatial": "per_frame"},
            "feature": {"spatial": "feature"},
            "none": {"spatial": "none"},
        },
        "tasks": {
            "no_order": {"weights": {"order": 0.0}},
            "alone": {"weights": {"order": 0.0, "scene": 0.0}},  # two things at once
        },
        "encoder": {"lstm": {"encoder": {"kind": "lstm"}}},  # no number
        "temperature": {"high": {"temperature": 1}},
    }
    scores = sweep(
        ("strength", {"weak": 0.1, "strong": 0.2}),
        ("spatial", {"per_frame": 0.3, "feature": 0.2, "none": 0.05}),
        ("tasks", {"no_order": 0.35, "alone": 0.9}),
        ("encoder", {"lstm": 0.8}),
        ("temperature", {"high": 0.25}),
    )
    points = sensitivity_points(scores, changed, DEFAULTS, STRENGTHS, 20)
    assert list(points.columns) == ["parameter", "value", "map", "sd", "default"]
    by_hand = {
        ("temperature", 0.5, 0.4, True),
        ("temperature", 1.0, 0.25, False),
        ("augmentation strength", 0.0, 0.05, False),
        ("augmentation strength", 0.5, 0.1, False),
        ("augmentation strength", 1.0, 0.4, True),
        ("augmentation strength", 1.5, 0.2, False),
        ("weight of the order task", 0.0, 0.35, False),
        ("weight of the order task", 0.1, 0.4, True),
    }
    found = points[["parameter", "value", "map", "default"]].itertuples(index=False, name=None)
    assert sorted(found) == sorted(by_hand)
    assert points["parameter"].drop_duplicates().tolist() == [
        name for name in PARAMETERS.values() if name in set(points["parameter"])
    ]
    assert points["sd"].isna().all()
    assert points["value"].dtype == float
    sensitivity(points)


def test_points_have_the_spread_over_seeds() -> None:
    points = sensitivity_points(TWO_SEEDS, {"tasks": CHANGED}, DEFAULTS, STRENGTHS, 5)
    want = pd.DataFrame(
        {
            "parameter": "weight of the scene task",
            "value": [0.0, 0.1],
            "map": [0.25, 0.1],
            "sd": [0.1 * 0.5**0.5, 0.0],
            "default": [False, True],
        }
    )
    pd.testing.assert_frame_equal(points.sort_values("value", ignore_index=True), want)
    sensitivity(points, 5)


def test_a_variant_at_the_default_is_the_default() -> None:
    """One point a value: the figure takes no two."""
    changed = {"temperature": {"same": {"temperature": 0.5}, "low": {"temperature": 0.2}}}
    scores = sweep(("temperature", {"same": 0.39, "low": 0.1}))
    points = sensitivity_points(scores, changed, DEFAULTS, STRENGTHS, 20)
    assert sorted(zip(points["value"], points["map"], points["default"], strict=True)) == [
        (0.2, 0.1, False),
        (0.5, 0.4, True),
    ]


def test_draws_for_each_frame_have_no_place_on_the_axis_of_strength() -> None:
    """Not even as the default, which the figure would miss."""
    changed: dict[str, dict[str, Any]] = {
        "spatial": {"none": {"spatial": "none"}},
        "temperature": {"low": {"temperature": 0.2}},
    }
    scores = sweep(("spatial", {"none": 0.05}), ("temperature", {"low": 0.1}))
    defaults = DEFAULTS | {"spatial": "per_frame"}
    points = sensitivity_points(scores, changed, defaults, STRENGTHS, 20)
    assert points["parameter"].tolist() == ["temperature"] * 2
    sensitivity(points)


def test_nothing_swept_gives_no_points() -> None:
    changed: dict[str, dict[str, Any]] = {"encoder": {"lstm": {"encoder": {"kind": "lstm"}}}}
    points = sensitivity_points(sweep(("encoder", {"lstm": 0.8})), changed, DEFAULTS, STRENGTHS, 20)
    assert points.empty


def test_every_parameter_is_swept_in_the_shipped_tables() -> None:
    tables = EXPERIMENT["ablations"]["variants"]["chain"]
    alone = [
        key
        for variants in tables.values()
        for changed in variants.values()
        for key in [list(params.leaves(changed))]
        if len(key) == 1
    ]
    assert {key for (key,) in alone} >= set(PARAMETERS)
    chain = Layers(EXPERIMENT["methods"]).config("chain")
    assert set(PARAMETERS) <= set(params.leaves(chain.model_dump()))

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chain.core import params
from chain.features.augmentation import STRENGTHS
from chain.figures.sensitivity import sensitivity
from chain.report.convert import tables_from_markdown
from chain.results.ablation_tables import (
    PARAMETERS,
    TITLES,
    ablation_markdown,
    ablation_scores,
    sensitivity_points,
    transfer_markdown,
)

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


def test_scores_by_hand_the_unchanged_method_first() -> None:
    columns = ["dataset", "method", "table", "variant", "k", "map_strict", "map_ssvh"]
    rows = [
        ("default", 5, 0.1, 0.4, 0, 0),
        ("default", 20, 0.4, 0.2, 0.1, 0),
        ("no_scenes", 5, 0.25, 0.55, 0.1, 0.1),
        ("no_scenes", 20, 0.4, 0.6, 0, 0.2),
        ("alone", 5, 0.7, 0.5, 0.2, 0),
        ("alone", 20, 0.1, 0.5, 0, 0),
    ]
    want = pd.DataFrame(
        [
            ("demo", "chain", "tasks", *means, *spreads)
            for *means, a, b in rows
            for spreads in [(a * 0.5**0.5, b * 0.5**0.5)]
        ],
        columns=[*columns, "sd_strict", "sd_ssvh"],
    )
    pd.testing.assert_frame_equal(TWO_SEEDS, want)


def test_scores_of_one_seed_have_no_spread() -> None:
    found = ablation_scores(variants(("low", 3, 5, 0.2, 0.5)), unchanged((3, 5, 0.1, 0.4)))
    assert found["variant"].tolist() == ["default", "low"]
    assert found["map_strict"].tolist() == [0.1, 0.2]
    assert not [name for name in found.columns if name.startswith("sd_")]
    assert "bits" not in found.columns and "seed" not in found.columns


def test_markdown_by_hand() -> None:
    assert ablation_markdown(TWO_SEEDS, CHANGED, DEFAULTS) == (
        "### Tasks (CHAIN, Demo)\n"
        "\n"
        "| variant | weights.scene | weights.order | spatial | mAP@5 | mAP@20 |\n"
        "| --- | --- | --- | --- | --: | --: |\n"
        "| default | 0.1 | 0.1 | consistent | 0.100 ± 0.000 | **0.400 ± 0.071** |\n"
        "| no scenes | 0.0 | 0.1 | consistent | 0.250 ± 0.071 | **0.400 ± 0.000** |\n"
        "| alone | 0.0 | 0.0 | none | **0.700 ± 0.141** | 0.100 ± 0.000 |\n"
    )


def test_markdown_of_one_seed_and_a_table_without_a_title() -> None:
    rows = variants(
        ("b", 0, 100, 0.2, 0.5), ("b", 0, 5, 0.3, 0.5), table="mine", method="chain_plus"
    )
    scores = ablation_scores(
        rows, unchanged((0, 100, 0.25, 0), (0, 5, 0.29, 0), method="chain_plus")
    )
    text = ablation_markdown(scores, {"b": {"temperature": 1.0}}, DEFAULTS)
    assert text == (
        "### mine (CHAIN+, Demo)\n"
        "\n"
        "| variant | temperature | mAP@5 | mAP@100 |\n"
        "| --- | --- | --: | --: |\n"
        "| default | 0.5 | 0.290 | **0.250** |\n"
        "| b | 1.0 | **0.300** | 0.200 |\n"
    )


def test_markdown_of_a_spread_that_is_not_known() -> None:
    scores = TWO_SEEDS.assign(sd_strict=[np.nan, 0.1, np.nan, 0.1, 0.1, 0.1])
    lines = ablation_markdown(scores, CHANGED, DEFAULTS).splitlines()
    assert lines[4].endswith("| 0.100 | **0.400 ± 0.100** |")


def test_the_best_is_what_prints_best() -> None:
    rows = variants(("low", 0, 5, 0.2004, 0), ("high", 0, 5, 0.1, 0))
    scores = ablation_scores(rows, unchanged((0, 5, 0.1996, 0)))
    text = ablation_markdown(
        scores, {name: {"temperature": 1.0} for name in ("low", "high")}, DEFAULTS
    )
    assert [line.split("|")[3].strip() for line in text.splitlines()[4:]] == [
        "**0.200**",
        "**0.200**",
        "0.100",
    ]


def test_the_report_can_read_the_tables() -> None:
    (table,) = tables_from_markdown(ablation_markdown(TWO_SEEDS, CHANGED, DEFAULTS))
    assert table.caption == "Tasks (CHAIN, Demo)"
    assert table.right == (False, False, False, False, True, True)
    assert [[cell.bold for cell in row[4:]] for row in table.rows] == [
        [False, True],
        [False, True],
        [True, False],
    ]


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


def test_every_shipped_table_has_a_title_and_every_parameter_is_swept() -> None:
    tree = params.load(Path(__file__).parents[2] / "params.yaml")
    tables = tree["ablations"]["chain"]
    assert set(TITLES) == set(tables) | set(tree["ablations"]["chain_plus"])
    alone = [
        key
        for variants in tables.values()
        for changed in variants.values()
        for key in [list(params.leaves(changed))]
        if len(key) == 1
    ]
    assert {key for (key,) in alone} >= set(PARAMETERS)
    assert set(PARAMETERS) <= set(params.leaves(tree["methods"]["chain"]))


def test_transfer_by_hand() -> None:
    rows = [
        ("ucf101", "hmdb51", "chain", 5, 0.25, 0.5),
        ("ucf101", "hmdb51", "chain", 20, 0.125, 0),
    ]
    columns = ["source", "dataset", "method", "k", "map_strict", "sd_strict"]
    table = pd.DataFrame(rows, columns=columns)
    assert transfer_markdown(table).splitlines()[2:] == [
        "| UCF101 | HMDB51 | CHAIN | 0.250 ± 0.500 | 0.125 ± 0.000 |"
    ]
    alone = transfer_markdown(table.drop(columns="sd_strict")).splitlines()
    assert alone[2] == "| UCF101 | HMDB51 | CHAIN | 0.250 | 0.125 |"
    assert transfer_markdown(pd.DataFrame()) == "No two data sets of this run share a CNN.\n"

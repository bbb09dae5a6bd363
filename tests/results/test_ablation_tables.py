from typing import Any

import numpy as np
import pandas as pd
from parameter_files import EXPERIMENT

from chain.results.ablation_tables import TITLES, ablation_scores, ablation_table, run_here
from chain.results.table import Cell

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


def test_changes_of_the_variants_that_were_run() -> None:
    changes = {name: {"temperature": value} for name, value in (("a", 1), ("b", 2), ("c", 3))}
    scores = variants(("c", 0, 5, 0.2, 0.5), ("a", 0, 5, 0.2, 0.5), ("a", 1, 5, 0.2, 0.5))
    assert list(run_here(changes, scores).items()) == [
        ("a", {"temperature": 1}),
        ("c", {"temperature": 3}),
    ]


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
    assert ablation_table(TWO_SEEDS, CHANGED, DEFAULTS).markdown() == (
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
    text = ablation_table(scores, {"b": {"temperature": 1.0}}, DEFAULTS).markdown()
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
    lines = ablation_table(scores, CHANGED, DEFAULTS).markdown().splitlines()
    assert lines[4].endswith("| 0.100 | **0.400 ± 0.100** |")


def test_the_best_is_what_prints_best() -> None:
    rows = variants(("low", 0, 5, 0.2004, 0), ("high", 0, 5, 0.1, 0))
    scores = ablation_scores(rows, unchanged((0, 5, 0.1996, 0)))
    changed = {name: {"temperature": 1.0} for name in ("low", "high")}
    rows_in_print = ablation_table(scores, changed, DEFAULTS).rows
    assert [row[2] for row in rows_in_print] == [
        Cell("0.200", bold=True),
        Cell("0.200", bold=True),
        Cell("0.100"),
    ]


def test_every_shipped_table_has_a_title() -> None:
    defined = EXPERIMENT["ablations"]["variants"].values()
    assert set(TITLES) == {table for tables in defined for table in tables}

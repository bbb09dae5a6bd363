"""Results read back, and their means over seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.files import write_csv
from chain.results.grid import (
    count_queries,
    map_by_k,
    over_seeds,
    read_ablation,
    read_all_floats,
    read_cell,
    read_grid,
    read_history,
)

IDS = ["001", "1e3", "NA", "null", "clip_7"]
QUERIES = pd.DataFrame({"seed": 3, "id": IDS, "ap5": [0.0, 0.25, 0.5, 0.75, 1.0]})


def test_ids_of_an_ablation_stay_text(tmp_path: Path) -> None:
    variants = ["none", "0.5", "NA", "null", "010"]
    table = QUERIES.assign(variant=variants)
    write_csv(tmp_path / "ablations" / "demo" / "spatial" / "queries.csv", table)
    found = read_ablation(tmp_path, "demo", "spatial", "queries")
    assert found["id"].tolist() == IDS
    assert found["variant"].tolist() == variants
    assert found["seed"].tolist() == [3] * 5 and found["ap5"].tolist() == table["ap5"].tolist()
    assert (found["dataset"] == "demo").all()


def test_a_cell_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "evaluations" / "demo" / "chain_64" / "map.csv"
    path.parent.mkdir(parents=True)
    path.write_text("seed,k,map_strict,map_ssvh\n0,5,0.25,0.5\n0,10,0.1")
    with pytest.raises(InputError, match=r"map\.csv: a score is missing"):
        read_cell(tmp_path, "demo", "chain", 64, "map")


def test_ids_of_a_cell_stay_text(tmp_path: Path) -> None:
    write_csv(tmp_path / "evaluations" / "demo" / "chain_64" / "queries.csv", QUERIES)
    found = read_cell(tmp_path, "demo", "chain", 64, "queries")
    assert found["id"].tolist() == IDS and found["ap5"].dtype == float
    assert found[["dataset", "method", "bits"]].drop_duplicates().to_numpy().tolist() == [
        ["demo", "chain", 64]
    ]


def test_queries_are_counted_once_for_all_variants(tmp_path: Path) -> None:
    twice = pd.concat([QUERIES.assign(variant=name) for name in ("raw", "centred")])
    write_csv(tmp_path / "evaluations" / "demo" / "float_features" / "queries.csv", twice)
    assert count_queries(tmp_path, ["demo", "flat"]) == {"demo": 5}


def test_what_was_not_evaluated_is_empty(tmp_path: Path) -> None:
    assert read_ablation(tmp_path, "demo", "spatial", "map").empty
    assert read_cell(tmp_path, "demo", "chain", 64, "map").empty
    assert read_history(tmp_path, "demo", "lsh", 64).empty
    write_csv(tmp_path / "ablations" / "demo" / "spatial" / "map.csv", QUERIES)
    assert read_ablation(tmp_path, "other", "spatial", "map").empty
    assert read_ablation(tmp_path, "demo", "tasks", "map").empty
    assert read_ablation(tmp_path, "demo", "spatial", "queries").empty


def test_the_grid_has_each_cell_once(tmp_path: Path) -> None:
    for method, bits in (("chain", 16), ("chain", 64), ("lsh", 16), ("lsh", 32)):
        scores = {"seed": [0], "k": [5], "map_strict": [bits / 100], "map_ssvh": [0.5]}
        table = pd.DataFrame(scores)
        write_csv(tmp_path / "evaluations" / "demo" / f"{method}_{bits}" / "map.csv", table)
    grid = read_grid(tmp_path, ["demo"], ["chain", "lsh"], [64, 16, 64], "map")
    assert list(zip(grid["method"], grid["bits"], grid["map_strict"], strict=True)) == [
        ("chain", 16, 0.16),
        ("chain", 64, 0.64),
        ("lsh", 16, 0.16),
    ]


def test_float_features_of_the_data_sets_that_have_any(tmp_path: Path) -> None:
    table = pd.DataFrame({"variant": ["raw"], "seed": [0], "k": [5], "map_strict": [0.25]})
    write_csv(tmp_path / "evaluations/demo/float_features/map.csv", table)
    found = read_all_floats(tmp_path, ["clips", "demo"])
    assert found.to_dict("records") == [
        {"variant": "raw", "seed": 0, "k": 5, "map_strict": 0.25, "dataset": "demo"},
    ]
    assert read_all_floats(tmp_path, ["clips"]).empty


def scores(*values: tuple[object, ...]) -> pd.DataFrame:
    columns = ["dataset", "variant", "seed", "k", "map_strict", "map_ssvh"]
    return pd.DataFrame(list(values), columns=columns)


def test_means_and_spread_by_hand_at_the_keys_asked_for() -> None:
    table = scores(
        ("demo", "low", 0, 5, 0.2, 0.6),
        ("demo", "low", 0, 20, 0.1, 0.3),
        ("demo", "high", 0, 5, 0.5, 0.5),
        ("demo", "low", 1, 5, 0.4, 0.6),
        ("demo", "low", 1, 20, 0.1, 0.5),
        ("other", "low", 0, 5, 0.9, 0.9),
        ("other", "low", 1, 5, 0.7, 0.8),
    )
    means = over_seeds(table, "k", ["dataset", "variant"])
    root = np.sqrt(0.5)  # the sd of two numbers is their difference times this
    want = pd.DataFrame(
        [
            ("demo", "low", 5, 0.3, 0.6, 0.2 * root, 0.0),
            ("demo", "low", 20, 0.1, 0.4, 0.0, 0.2 * root),
            ("demo", "high", 5, 0.5, 0.5, np.nan, np.nan),
            ("other", "low", 5, 0.8, 0.85, 0.2 * root, 0.1 * root),
        ],
        columns=["dataset", "variant", "k", "map_strict", "map_ssvh", "sd_strict", "sd_ssvh"],
    )
    pd.testing.assert_frame_equal(means, want)


def test_the_keys_are_a_cell_unless_others_are_named() -> None:
    table = scores(("demo", "x", 0, 5, 0.2, 0.6), ("demo", "x", 1, 5, 0.4, 0.6))
    cells = table.drop(columns="variant").assign(method="chain", bits=[16, 32])
    assert over_seeds(cells, "k")["bits"].tolist() == [16, 32]
    assert over_seeds(cells.assign(bits=16), "k")["map_strict"].tolist() == [pytest.approx(0.3)]


def test_one_seed_has_no_spread() -> None:
    table = scores(("demo", "low", 4, 5, 0.2, 0.6), ("demo", "low", 4, 20, 0.1, 0.3))
    means = over_seeds(table, "k", ["dataset", "variant"])
    pd.testing.assert_frame_equal(means, table.drop(columns="seed"))
    assert over_seeds(pd.DataFrame(), "k").empty


def test_map_by_k_by_hand() -> None:
    table = scores(("demo", "x", 0, 5, 0.123456789, 0.6), ("demo", "x", 0, 100, 0.1, 0.3))
    assert map_by_k(table, "map_strict") == {"map5": 0.12346, "map100": 0.1}

"""The results of the grid, read back by cell: a data set, a method and a code length."""

import json
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

CELL = ("dataset", "method", "bits")
FLOATS = "float_features"
"""What stands in a method's place for the CNN's features, which have no code length."""


def read_cell(artifacts: Path, dataset: str, method: str, bits: int, table: str) -> pd.DataFrame:
    """One table of a cell's evaluation (`map`, `queries`, `by_rank`, `by_radius`), all its seeds.

    Empty for a data set without categories, which is not evaluated.
    """
    path = artifacts / "evaluations" / dataset / f"{method}_{bits}" / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    return read_table(path).assign(dataset=dataset, method=method, bits=bits)


def read_floats(artifacts: Path, dataset: str, table: str) -> pd.DataFrame:
    """`map` or `queries` of the float features; empty for a data set that is not evaluated."""
    path = artifacts / "evaluations" / dataset / FLOATS / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    return read_table(path).assign(dataset=dataset)


def read_all_floats(artifacts: Path, datasets: Sequence[str]) -> pd.DataFrame:
    """`map` of the float features of every data set, stacked."""
    return pd.concat([read_floats(artifacts, name, "map") for name in datasets], ignore_index=True)


def read_ablation(artifacts: Path, dataset: str, name: str, table: str) -> pd.DataFrame:
    """`map` or `queries` of an ablation, by variant and seed; empty where it was not evaluated."""
    path = artifacts / "ablations" / dataset / name / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    return read_table(path).assign(dataset=dataset)


def read_table(path: Path) -> pd.DataFrame:
    """A table of scores; ids and names of variants stay text (`001`, `NA`)."""
    return pd.read_csv(path, dtype={"id": str, "variant": str}, keep_default_na=False)


def read_notes(artifacts: Path, dataset: str) -> list[str]:
    """What the source of a data set has to say about it, such as files that are missing."""
    notes: list[str] = json.loads((artifacts / "clips" / dataset / "notes.json").read_text())
    return notes


def read_history(artifacts: Path, dataset: str, method: str, bits: int) -> pd.DataFrame:
    """A cell's training history, all its seeds; empty for a method that learns nothing."""
    path = artifacts / "models" / dataset / f"{method}_{bits}" / "history.csv"
    if not path.exists():
        return pd.DataFrame()
    return pd.read_csv(path).assign(dataset=dataset, method=method, bits=bits)


def read_grid(
    artifacts: Path,
    datasets: Sequence[str],
    methods: Sequence[str],
    lengths: Iterable[int],
    table: str,
) -> pd.DataFrame:
    """One table of every cell, stacked. The cells come from the parameters, never from the disk."""
    cells = product(datasets, methods, sorted(set(lengths)))
    tables = [read_cell(artifacts, *cell, table) for cell in cells]
    return pd.concat(tables, ignore_index=True)


def over_seeds(table: pd.DataFrame, x: str, keys: Sequence[str] = CELL) -> pd.DataFrame:
    """Means over seeds at each of `keys` and `x`.

    With several seeds also their standard deviation, `sd_<name>` of a column `map_<name>`.
    """
    if table.empty:
        return table
    groups = table.drop(columns="seed").groupby([*keys, x], sort=False)
    means = groups.mean()
    if table["seed"].nunique() > 1:
        spread = groups.std(ddof=1)
        spread.columns = [f"sd_{name.removeprefix('map_')}" for name in spread.columns]
        means = means.join(spread)
    return means.reset_index()


def map_by_k(scores: pd.DataFrame, column: str) -> dict[str, float]:
    """mAP at each K of one cell as DVC metrics: {"map5": ..., "map20": ...}."""
    return {
        f"map{k}": round(value, 5) for k, value in zip(scores["k"], scores[column], strict=True)
    }

"""Results read back by cell, which is one data set, method and code length of the grid."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from chain.core.errors import REPRO, InputError, reading
from chain.results.score_files import COLUMNS, read_table

CELL = ("dataset", "method", "bits")
FLOATS = "float_features"
"""What stands in a method's place for the CNN's features, which have no code length."""
FLOAT_COLUMNS = {"map": ["variant", "k", "map_strict"], "queries": ["variant", "id"]}
"""The same for the float features, which come from no seed."""


def read_cell(artifacts: Path, dataset: str, method: str, bits: int, table: str) -> pd.DataFrame:
    """Read one table (`map`, `queries`, `by_rank` or `by_radius`) of a cell, with all its seeds.

    It is empty for a data set without categories, which is not evaluated. Raises InputError naming
    the file if it is damaged.
    """
    path = artifacts / "evaluations" / dataset / f"{method}_{bits}" / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    columns = [*COLUMNS[table], "seed"]
    found = read_table(path, columns)
    if table == "map" and found[columns].isna().any(axis=None):  # elsewhere, some have no value
        raise InputError(f"{path}: a score is missing; {REPRO}")
    return found.assign(dataset=dataset, method=method, bits=bits)


def read_floats(artifacts: Path, dataset: str, table: str) -> pd.DataFrame:
    """Read `map` or `queries` of the float features; it is empty if nothing was evaluated."""
    path = artifacts / "evaluations" / dataset / FLOATS / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    return read_table(path, FLOAT_COLUMNS[table]).assign(dataset=dataset)


def read_all_floats(artifacts: Path, datasets: Sequence[str]) -> pd.DataFrame:
    """Read `map` of the float features of every data set, stacked."""
    return pd.concat([read_floats(artifacts, name, "map") for name in datasets], ignore_index=True)


def count_queries(artifacts: Path, datasets: Sequence[str]) -> dict[str, int]:
    """Over how many queries the scores of each data set are; one without scores is left out."""
    found = {name: read_floats(artifacts, name, "queries") for name in datasets}
    return {name: table["id"].nunique() for name, table in found.items() if len(table)}


def read_ablation(artifacts: Path, dataset: str, name: str, table: str) -> pd.DataFrame:
    """Read `map` or `queries` of an ablation; it is empty if nothing was evaluated."""
    path = artifacts / "ablations" / dataset / name / f"{table}.csv"
    if not path.exists():
        return pd.DataFrame()
    return read_table(path, [*COLUMNS[table], "seed", "variant"]).assign(dataset=dataset)


def read_notes(artifacts: Path, dataset: str) -> list[str]:
    """Read what a data set's source has to say about it, such as which files are missing."""
    path = artifacts / "clips" / dataset / "notes.json"
    with reading(path, "a list of notes"):
        return TypeAdapter(list[str]).validate_json(path.read_bytes())


def read_history(artifacts: Path, dataset: str, method: str, bits: int) -> pd.DataFrame:
    """Read a cell's training history; it is empty for a method that learns nothing."""
    path = artifacts / "models" / dataset / f"{method}_{bits}" / "history.csv"
    if not path.exists():
        return pd.DataFrame()
    columns = ["epoch", "lr", "loss", "seed"]
    return read_table(path, columns).assign(dataset=dataset, method=method, bits=bits)


def read_grid(
    artifacts: Path,
    datasets: Sequence[str],
    methods: Sequence[str],
    lengths: Iterable[int],
    table: str,
) -> pd.DataFrame:
    """Read one table of every cell, stacked; the cells are those asked for, not those on disk."""
    cells = product(datasets, methods, sorted(set(lengths)))
    tables = [read_cell(artifacts, *cell, table) for cell in cells]
    return pd.concat(tables, ignore_index=True)


def over_seeds(table: pd.DataFrame, x: str, keys: Sequence[str] = CELL) -> pd.DataFrame:
    """Take means over seeds at each value of `keys` and `x`.

    With several seeds, a column `sd_<name>` holds the standard deviation of `map_<name>`.
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
    """The mAP at each K of one cell as DVC metrics: {"map5": ..., "map20": ...}."""
    return {
        f"map{k}": round(value, 5) for k, value in zip(scores["k"], scores[column], strict=True)
    }

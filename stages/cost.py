"""Parameters, multiply-adds and bytes of every method."""

from itertools import product

import pandas as pd

from chain.analysis.cost import cost
from chain.core.files import write_csv
from chain.methods.saved_models import build_method, read_description
from chain.results.cost_table import cost_table
from chain.results.table import write_tables
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, run


def costs(bits: int) -> str:
    datasets, grid = parameters("datasets", "grid")
    rows = []
    for dataset, method in product(datasets, grid["methods"]):
        folder = ARTIFACTS / "models" / dataset / f"{method}_{bits}"
        found = cost(build_method(folder), read_description(folder).feature_width)
        rows.append({"dataset": dataset, "method": method, "bits": bits, **found})
    table = pd.DataFrame(rows)
    write_csv(METRICS / "cost.csv", table)
    write_tables(TABLES / "cost.json", METRICS / "cost.md", [cost_table(table)])
    return f"cost: {len(rows)} rows in {METRICS}/cost.md"


if __name__ == "__main__":
    run(costs, "bits")

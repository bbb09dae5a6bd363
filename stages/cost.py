"""Parameters, multiply-adds and bytes of every method."""

from itertools import product
from pathlib import Path

import pandas as pd

from chain.analysis.cost import cost
from chain.core.files import replacing, write_csv
from chain.figures.style import dataset_label, method_style
from chain.methods.saved_models import read_description
from stages.common import ARTIFACTS, parameters, run

METRICS = Path("metrics")


def costs(bits: int) -> str:
    datasets, grid = parameters("datasets", "grid")
    rows = []
    for dataset, method in product(datasets, grid["methods"]):
        described = read_description(ARTIFACTS / "models" / dataset / f"{method}_{bits}")
        found = cost(described.build(), described.feature_width)
        rows.append({"dataset": dataset, "method": method, "bits": bits, **found})
    table = pd.DataFrame(rows)
    write_csv(METRICS / "cost.csv", table)
    lines = [
        "| data set | method | parameters | million multiply-adds a video | bytes a code |",
        "|---|---|--:|--:|--:|",
    ]
    for row in rows:
        name, label = dataset_label(str(row["dataset"])), method_style(str(row["method"])).label
        counts = f"{row['parameters']:,} | {row['mmacs']:.2f} | {row['bytes']}"
        lines.append(f"| {name} | {label} | {counts} |")
    with replacing(METRICS / "cost.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    return f"cost: {len(rows)} rows in {METRICS}/cost.md"


if __name__ == "__main__":
    run(costs, "bits")

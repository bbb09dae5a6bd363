"""The table of what each method costs."""

import pandas as pd

from chain.results.labels import labelled
from chain.results.table import Cell, Table


def cost_table(costs: pd.DataFrame) -> Table:
    """Print `costs`, which has columns dataset, method, parameters, mmacs and bytes."""
    named = labelled(costs)
    return Table.of(
        pd.DataFrame(
            {
                "data set": named["dataset"],
                "method": named["method"],
                "parameters": [Cell(f"{count:,}") for count in costs["parameters"]],
                "million multiply-adds a video": [Cell(f"{n:.2f}") for n in costs["mmacs"]],
                "bytes a code": costs["bytes"],
            }
        )
    )

"""Tables of scores as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from chain.core.errors import reading

TEXT = ["id", "variant"]
"""The columns of tables of scores that hold text."""
COLUMNS = {
    "map": ["k", "map_strict", "map_ssvh"],
    "by_rank": ["rank", "precision", "recall"],
    "by_radius": ["radius", "precision", "recall"],
    "queries": ["id"],
}
"""The columns that the tables of an evaluation have, besides others and, here, `seed`."""


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table of scores, in which ids and names of variants stay text (`001`, `NA`).

    An empty cell of another column is NaN. Raises InputError naming the file if it is damaged: if
    one of `columns` is missing, or if a column besides those two holds something else than numbers.
    """
    with reading(path, "a table of scores"):
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False)
        for name in columns:
            if name not in table:
                raise ValueError(f"no column {name!r}")
        for name in table.columns.difference(TEXT):
            try:
                table[name] = pd.to_numeric(table[name].replace("", np.nan))
            except (ValueError, TypeError):
                raise ValueError(f"column {name!r} holds something else than numbers") from None
    return table

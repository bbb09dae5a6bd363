"""A check of tables of scores before they are drawn or printed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from chain.core.errors import InputError


def checked(
    table: pd.DataFrame, keys: Sequence[str], values: Sequence[str], unique: bool = True
) -> pd.DataFrame:
    """`table` itself, once it is known to be complete.

    Raises InputError, naming the column, in each of these cases:

    * A column of `keys` or `values` is missing or holds NaN.
    * A column of `values` holds something else than finite numbers.
    * The table has no rows.
    * With `unique`, two rows have the same `keys`.
    """
    for column in (*keys, *values):
        if column not in table.columns:
            raise InputError(f"table: no column {column!r}")
        if table[column].isna().any():
            raise InputError(f"table: column {column!r} holds NaN")
    for column in values:
        if not is_numeric_dtype(table[column]) or not np.isfinite(table[column]).all():
            raise InputError(f"table: column {column!r} holds something else than finite numbers")
    if table.empty:
        raise InputError("table: no rows")
    if unique and table.duplicated(list(keys)).any():
        raise InputError(f"table: two rows with the same {', '.join(keys)}")
    return table

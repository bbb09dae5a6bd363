"""Scores in print: mean ± sd to three decimals, the best in bold."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from chain.results.table import Cell


def mean_and_sd(row: Mapping[Hashable, Any], protocol: str = "strict") -> str:
    """The mAP of one row of scores, followed by its standard deviation where that is known."""
    mean, sd = row[f"map_{protocol}"], row.get(f"sd_{protocol}")
    return f"{mean:.3f}" if sd is None or pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"


def score_cells(
    scores: pd.DataFrame, contest: Sequence[str], protocol: str = "strict"
) -> pd.Series:
    """A cell for each row of `scores` (columns map_<protocol> and, for several seeds, sd_...).

    Rows with the same values in the columns `contest` compete, and the one with the highest mean is
    bold. Those that print the same mean share the bold, and a row without a rival has none. A
    column `mark` is printed behind the numbers.
    """
    means = scores[f"map_{protocol}"].map("{:.3f}".format)
    contests = means.groupby([scores[name] for name in contest])
    best = (means == contests.transform("max")) & (contests.transform("size") > 1)
    rows = scores.to_dict("records")
    texts = [mean_and_sd(row, protocol) + row.get("mark", "") for row in rows]
    cells = [Cell(text, bool(bold)) for text, bold in zip(texts, best, strict=True)]
    return pd.Series(cells, index=scores.index, dtype=object)


def wide_cells(
    scores: pd.DataFrame,
    rows: Sequence[str],
    column: str,
    contest: Sequence[str],
    protocol: str = "strict",
) -> pd.DataFrame:
    """The cells of `score_cells` with one row for each combination of `rows`.

    The columns are `rows`, whose combinations come in the order of their first appearance, and the
    values of `column` in ascending order. What was not measured is NaN.
    """
    cells = scores.assign(cell=score_cells(scores, contest, protocol))
    wide = cells.pivot(index=list(rows), columns=column, values="cell").reset_index()
    return scores[list(rows)].drop_duplicates().merge(wide, on=list(rows), how="left")


def wide_cells_by_k(
    scores: pd.DataFrame, rows: Sequence[str], contest: Sequence[str], protocol: str = "strict"
) -> pd.DataFrame:
    """`wide_cells` over K, under the headings mAP@5, mAP@20 and so on."""
    wide = wide_cells(scores, rows, "k", contest, protocol)
    return wide.rename(columns={k: f"mAP@{k}" for k in scores["k"].unique()})

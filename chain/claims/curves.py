"""The gain in precision at equal recall of one set of precision-recall curves over another."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.claims.bootstrap import relative_gain
from chain.core.errors import InputError

POINTS = 50


@dataclass(frozen=True)
class CurveGain:
    """The relative gain in mean precision, and its lowest and highest value over pairs of seeds.

    `everywhere` tells whether the mean curve of ours is the higher one at every recall of the grid.
    """

    mean: float
    low: float
    high: float
    everywhere: bool


def precision_gain(ours: pd.DataFrame, theirs: pd.DataFrame) -> CurveGain:
    """Compare two tables with columns seed, recall and precision, which hold a curve for each seed.

    The curves are compared on a grid of 50 recalls, evenly spaced over the range that all of them
    cover. The upper end is left out: there all is retrieved, and every method has the same
    precision. Curves that share one recall alone are compared there. Raises InputError if a table
    is empty, lacks a column or is not finite, and if the curves share no recall.
    """
    first, second = _curves(ours, "ours"), _curves(theirs, "theirs")
    grid = _common_grid([*first, *second])
    above, below = _on_grid(first, grid), _on_grid(second, grid)
    pairings = relative_gain(above.mean(axis=1)[:, None], below.mean(axis=1)[None, :])
    return CurveGain(
        float(relative_gain(above.mean(), below.mean())),
        float(pairings.min()),
        float(pairings.max()),
        bool((above.mean(axis=0) > below.mean(axis=0)).all()),
    )


def _curves(table: pd.DataFrame, side: str) -> list[pd.Series]:
    """A series for each seed: the mean precision at each recall, in ascending order."""
    for column in ("seed", "recall", "precision"):
        if column not in table.columns:
            raise InputError(f"{side}: no column {column!r} in the precision-recall curve")
        if not np.isfinite(table[column]).all():
            raise InputError(f"{side}: column {column!r} holds something else than finite numbers")
    if table.empty:
        raise InputError(f"{side}: the precision-recall curve has no rows")
    return [curve.groupby("recall")["precision"].mean() for _, curve in table.groupby("seed")]


def _common_grid(curves: list[pd.Series]) -> NDArray[np.float64]:
    start = max(curve.index.min() for curve in curves)
    stop = min(curve.index.max() for curve in curves)
    if start > stop:
        raise InputError("precision-recall curves: no recall that all of them cover")
    return np.linspace(start, stop, POINTS, endpoint=False)


def _on_grid(curves: list[pd.Series], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The precision (S, G) of S curves at the recalls of the grid, interpolated linearly."""
    return np.stack([np.interp(grid, curve.index, curve) for curve in curves])

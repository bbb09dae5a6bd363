"""Interactive line charts as plain data, and their series made from scores."""

import math
from dataclasses import dataclass

import pandas as pd

from chain.core.errors import InputError
from chain.figures.style import method_style
from chain.results.checked import checked
from chain.results.labels import method_label, ordered


@dataclass(frozen=True)
class Series:
    """A line through the points (x, y), with a band of ± `sd` around it where that is given.

    `colour` is CSS's, `dash` is one of matplotlib's "-", "--", ":" and "-.", and `width` is in
    pixels. Raises InputError if there are no points, if the lengths of x, y and sd differ, and if a
    number is not finite.
    """

    name: str
    colour: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sd: tuple[float, ...] | None = None
    dash: str = "-"
    width: float = 1.5

    def __post_init__(self) -> None:
        columns = [self.x, self.y] + ([] if self.sd is None else [self.sd])
        if not self.x or len({len(column) for column in columns}) > 1:
            raise InputError(f"series {self.name!r}: expected x, y and sd of one length above 0")
        if not all(math.isfinite(value) for column in columns for value in column):
            raise InputError(f"series {self.name!r} holds something else than finite numbers")


@dataclass(frozen=True)
class Chart:
    """Series that share both axes. Raises InputError if there are none."""

    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        if not self.series:
            raise InputError(f"chart {self.caption!r}: no series")


def method_series(scores: pd.DataFrame, x: str, y: str, spread: str = "") -> tuple[Series, ...]:
    """A series for each method of `scores`, named, coloured and ordered as in the figures.

    `scores` has columns method, `x` and `y`. A column `spread` becomes the band of each method for
    which it is known throughout. Raises InputError if a column is missing or not finite.
    """
    checked(scores, ["method", x], [y], unique=False)
    series = []
    for method in ordered(scores["method"]):
        part, style = scores[scores["method"] == method], method_style(method)
        known = spread in part and part[spread].notna().all()
        xs, ys = tuple(part[x].astype(float)), tuple(part[y].astype(float))
        sd = tuple(part[spread].astype(float)) if known else None
        label = method_label(method)
        series.append(Series(label, style.colour, xs, ys, sd, style.dash, style.width))
    return tuple(series)

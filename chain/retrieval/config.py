"""Parameters of the evaluation."""

from typing import Annotated

from pydantic import Field

from chain.core.params import Parameters


class EvaluationConfig(Parameters):
    """At which K the mean average precision is taken."""

    topk: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """Those above the size of a data set's database are left out there."""


def usable(topk: list[int], database: int) -> list[int]:
    """The K of `topk` that a database of so many clips allows; its size, if it allows none."""
    return [k for k in topk if k <= database] or [database]

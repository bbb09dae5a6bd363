"""Parameters of the evaluation."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from chain.core.params import Parameters


class EvaluationConfig(Parameters):
    """How codes are evaluated."""

    topk: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """The values of K of mAP@K; those above the size of a database are left out there."""

    @field_validator("topk")
    @classmethod
    def _no_k_twice(cls, topk: list[int]) -> list[int]:
        for k in topk:
            if topk.count(k) > 1:
                raise ValueError(f"{k} is listed twice")
        return topk


def usable(topk: Sequence[int], database: int) -> list[int]:
    """Return the K of `topk` that a database of so many clips allows, or its size if none is."""
    return [k for k in topk if k <= database] or [database]

"""Parameters of the evaluation."""

from typing import Annotated

from pydantic import Field

from chain.core.params import Parameters


class EvaluationConfig(Parameters):
    """How codes are evaluated."""

    topk: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """The values of K of the mean average precision, mAP@K."""

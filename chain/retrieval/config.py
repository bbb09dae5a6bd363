"""Parameters of the evaluation."""

from typing import Annotated

from pydantic import Field

from chain.core.params import Parameters


class EvaluationConfig(Parameters):
    """At which K the mean average precision is taken."""

    topk: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]

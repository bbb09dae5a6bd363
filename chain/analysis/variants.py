"""Which ablations there are: the part `ablations` of `params.yaml`."""

from typing import Any, Self

from pydantic import RootModel, model_validator

from chain.core.params import Parameters


class Variants(RootModel[dict[str, dict[str, Any]]]):
    """One table of ablations: by the name of each variant, what it changes in a method."""

    @model_validator(mode="after")
    def _default_is_the_unchanged_method(self) -> Self:
        if "default" in self.root:
            raise ValueError(
                "default is the method without a change; give the variant another name"
            )
        return self


class AblationsConfig(Parameters):
    """The tables of ablations of each method, and for which data sets they are made."""

    datasets: list[str]
    tables: list[str]
    """Those of `chain` that are made."""
    chain: dict[str, Variants]
    chain_plus: dict[str, Variants]

"""A trained model on disk: weights by seed, and beside them what it takes to build the network."""

import json
from pathlib import Path

import torch

from chain.core.files import write_json
from chain.core.params import Parameters
from chain.methods import method_class
from chain.methods.base import Method, MethodConfig

DESCRIPTION = "model.json"


class Description(Parameters):
    """What a folder of weights holds, written when they were trained."""

    method: str
    feature_width: int
    bits: int
    parameters: dict[str, object]
    """Those of the method, as they were merged from the published ones and the data set's."""

    def build(self) -> Method:
        """The network, untrained; ValueError if the method has other parameters by now."""
        build = method_class(self.method)
        return build(build.Config.model_validate(self.parameters), self.feature_width, self.bits)


def save_description(
    folder: Path, method: str, config: MethodConfig, feature_width: int, bits: int
) -> None:
    """Write what `load_method` needs besides the weights."""
    described = Description(
        method=method,
        feature_width=feature_width,
        bits=bits,
        parameters=config.model_dump(mode="json"),
    )
    write_json(folder / DESCRIPTION, described.model_dump())


def read_description(folder: Path) -> Description:
    """What a folder of weights holds."""
    return Description.model_validate(json.loads((folder / DESCRIPTION).read_text()))


def load_method(weights: Path) -> Method:
    """A trained model from its state dict and the description beside it; `fit` is not called."""
    model = read_description(weights.parent).build()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model

"""Trained models on disk: a folder of weights, and a description that says what they belong to.

A folder holds one method at one code length: `seed_<seed>.pt` for each seed, and `model.json`.
"""

import json
from pathlib import Path

from chain.core.errors import reading
from chain.core.files import write_json
from chain.core.params import Parameters
from chain.core.tensors import load_tensors
from chain.methods import method_class
from chain.methods.base import Method, MethodConfig

DESCRIPTION = "model.json"
DESCRIBES = "the description of a model"
WEIGHTS = "weights of the network that its model.json describes"


class Description(Parameters):
    """All that is needed to build the network that a folder of weights belongs to."""

    method: str
    feature_width: int
    bits: int
    parameters: dict[str, object]
    """The method's parameters when it was trained, with those of the data set merged in."""

    def build(self) -> Method:
        """The network, untrained. ValueError if the method has other parameters by now."""
        build = method_class(self.method)
        return build(build.Config.model_validate(self.parameters), self.feature_width, self.bits)


def save_description(
    folder: Path, method: str, config: MethodConfig, feature_width: int, bits: int
) -> None:
    """Write the description that `load_method` needs besides the weights."""
    described = Description(
        method=method,
        feature_width=feature_width,
        bits=bits,
        parameters=config.model_dump(mode="json"),
    )
    write_json(folder / DESCRIPTION, described.model_dump())


def read_description(folder: Path) -> Description:
    """The description of a folder of weights. InputError if it is missing or damaged."""
    path = folder / DESCRIPTION
    with reading(path, DESCRIBES):
        return Description.model_validate(json.loads(path.read_text()))


def build_method(folder: Path) -> Method:
    """The untrained network that a folder of weights belongs to.

    InputError if the description is missing or damaged, or if the method has other parameters by
    now.
    """
    described = read_description(folder)
    with reading(folder / DESCRIPTION, DESCRIBES):
        return described.build()


def load_method(weights: Path) -> Method:
    """A trained model from the file of its weights and the description beside it, without `fit`.

    InputError, naming the file, if either is missing or damaged, or if they don't fit together.
    """
    model = build_method(weights.parent)
    state = load_tensors(weights, WEIGHTS)
    with reading(weights, WEIGHTS):
        model.load_state_dict(state)
    return model

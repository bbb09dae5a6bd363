"""A trained model and its description on disk."""

import json
from pathlib import Path

import pytest
import torch

from chain.core import params
from chain.core.errors import InputError
from chain.core.files import by_seed
from chain.methods import METHODS, method_class
from chain.methods.saved_models import DESCRIPTION, load_method, read_description, save_description
from chain.pipeline.layers import Layers

ROOT = Path(__file__).parents[2]
DEMO = params.load(ROOT / "params" / "demo.yaml")["methods"]
LAYERS = Layers(params.load(ROOT / "params.yaml")["methods"], DEMO)
WIDTH, BITS = 24, 16


def save(folder: Path, name: str, *seeds: int) -> list[dict[str, torch.Tensor]]:
    config = LAYERS.config(name)
    save_description(folder, name, config, WIDTH, BITS)
    states = []
    for seed in seeds:
        torch.manual_seed(seed)
        states.append(method_class(name)(config, WIDTH, BITS).state_dict())
        torch.save(states[-1], folder / f"seed_{seed}.pt")
    return states


@pytest.mark.parametrize("name", METHODS)
def test_each_method_comes_back_with_its_parameters_and_weights(tmp_path: Path, name: str) -> None:
    (state,) = save(tmp_path, name, 4)
    model = load_method(tmp_path / "seed_4.pt")
    assert type(model) is method_class(name)
    assert model.frames == DEMO["all"]["frames"]
    found = model.state_dict()
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_the_description_has_the_merged_parameters(tmp_path: Path) -> None:
    save(tmp_path, "chain")
    described = read_description(tmp_path)
    assert (described.method, described.feature_width, described.bits) == ("chain", WIDTH, BITS)
    assert described.parameters == LAYERS.config("chain").model_dump()
    assert described.parameters["encoder"]["width"] == DEMO["all"]["encoder"]["width"]


def test_parameters_that_the_method_no_longer_has(tmp_path: Path) -> None:
    save(tmp_path, "lsh", 0)
    text = json.loads((tmp_path / DESCRIPTION).read_text())
    text["parameters"]["gone"] = 1
    (tmp_path / DESCRIPTION).write_text(json.dumps(text))
    with pytest.raises(InputError, match=r"model\.json: not the description of a model.*gone"):
        load_method(tmp_path / "seed_0.pt")


def test_files_by_seed_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    save(tmp_path, "lsh", 10, 9, 2)
    (tmp_path / "seed_1.npz").touch()
    (tmp_path / "history.csv").touch()
    found = by_seed(tmp_path, ".pt")
    assert list(found) == [2, 9, 10]
    assert found[9] == tmp_path / "seed_9.pt"

import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from chain.errors import InputError
from chain.features.backbone import (
    Backbone,
    BackboneConfig,
    load_backbone,
    load_weights,
    remove_classifier,
)
from chain.params import parse


def config(name: str = "squeezenet1_1", weights: str = "pretrain") -> BackboneConfig:
    return BackboneConfig(
        name=name, weights=weights, size=32, mean=[0.4, 0.5, 0.6], std=[0.1, 0.2, 0.3]
    )


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """The state dict of a squeezenet with its classifier."""
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1(weights=None).state_dict()


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("mobilenet_v3_small", 1024),
        ("resnet18", 512),
        ("squeezenet1_0", 512),
        ("shufflenet_v2_x0_5", 1024),
    ],
)
def test_features_are_those_of_the_penultimate_layer(name: str, width: int) -> None:
    backbone = Backbone(config(name)).eval()
    with torch.inference_mode():
        assert backbone(torch.rand(2, 3, 64, 64)).shape == (2, width)


def test_classifier_on_the_features_gives_the_scores_of_the_whole_network() -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        scores = network(images)
        classifier = network.fc
        remove_classifier(network)
        torch.testing.assert_close(classifier(network(images)), scores)


def test_frames_are_normalised_by_channel() -> None:
    backbone = Backbone(config()).eval()
    backbone.network = nn.Identity()
    got = backbone(torch.full((1, 3, 2, 2), 0.5))
    torch.testing.assert_close(got[0, :, 0, 0], torch.tensor([1.0, 0.0, -1 / 3]))


def test_network_without_classifier() -> None:
    with pytest.raises(InputError, match="Sequential has no classification layer"):
        remove_classifier(nn.Sequential(nn.Linear(4, 10)))


def test_state_dict_file(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    torch.save(whole, tmp_path / "whole.pt")
    state = load_weights(config(weights=str(tmp_path / "whole.pt")))
    assert whole.keys() - state.keys() == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(state[name], whole[name]) for name in state)

    # What the pipeline itself writes is a state-dict file too.
    torch.save(state, tmp_path / "cut.pt")
    again = load_weights(config(weights=str(tmp_path / "cut.pt")))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_load_backbone_is_frozen_and_has_the_weights(
    tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    torch.save(whole, tmp_path / "whole.pt")
    state = load_weights(config(weights=str(tmp_path / "whole.pt")))
    torch.save(state, tmp_path / "backbone.pt")
    backbone = load_backbone(config(), tmp_path / "backbone.pt")
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    loaded = backbone.network.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


class Unpickled:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("pickled code was run",)


def test_files_that_are_no_weights(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "weights.pt"

    def error() -> str:
        with pytest.raises(InputError) as caught:
            load_weights(config(weights=str(path)))
        message = str(caught.value)
        assert str(path) in message and "\n" not in message
        return message

    path.write_bytes(b"not torch at all")
    assert "not a state-dict file" in error()
    path.write_bytes(b"")
    assert "not a state-dict file" in error()
    path.write_bytes(pickle.dumps(Unpickled(), protocol=2))
    assert "not a state-dict file" in error()
    torch.save(torch.zeros(3), path)
    assert "not weights of squeezenet1_1" in error()
    torch.save({"model": whole}, path)
    assert "not weights of squeezenet1_1" in error()
    torch.save(torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict(), path)
    assert "not weights of squeezenet1_1" in error()
    wrong_shape = whole | {"features.0.weight": torch.zeros(64, 1, 3, 3)}
    torch.save(wrong_shape, path)
    assert "size mismatch for features.0.weight" in error()
    torch.save({k: v for k, v in whole.items() if k != "features.0.bias"}, path)
    assert "features.0.bias" in error()


def test_unknown_weights_name_lists_the_choices() -> None:
    with pytest.raises(InputError, match="IMAGENET1K_V1") as caught:
        load_weights(config(weights="IMAGENET1K_V9"))
    message = str(caught.value)
    assert "'IMAGENET1K_V9'" in message and "'pretrain'" in message and "\n" not in message


@pytest.mark.parametrize(
    "failure", [URLError("no network"), TimeoutError("no answer"), RuntimeError("invalid hash")]
)
def test_failed_download_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def download(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(InputError, match="can't be downloaded") as caught:
        load_weights(config(weights="IMAGENET1K_V1"))
    assert "'IMAGENET1K_V1'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet51"}, "name: unknown backbone; torchvision has .*resnet50"),
        ({"mean": [0.5]}, "mean: expected three numbers"),
        ({"std": [0.5, 0.5]}, "std: expected three numbers"),
        ({"std": [0.5, 0.0, 0.5]}, "std.1: .*greater than 0"),
        ({"size": 16}, "size: .*32"),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"data.demo.backbone.{message}") as caught:
        parse(BackboneConfig, config().model_dump() | change, "data.demo.backbone")
    assert "\n" not in str(caught.value)

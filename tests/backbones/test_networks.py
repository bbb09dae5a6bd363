import pickle
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from chain.backbones.networks import (
    Backbone,
    BackboneConfig,
    DeclaredBackbone,
    load_backbone,
    remove_classifier,
)
from chain.backbones.weights import backbone_config, check_source, load_weights, resolve
from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.manifest import file_sha256

KEY = "backbone"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def config(
    name: str = "squeezenet1_1", weights: str = "pretrain", sha256: str | None = None
) -> BackboneConfig:
    return BackboneConfig(
        name=name,
        weights=weights,
        sha256=sha256,
        size=32,
        mean=[0.4, 0.5, 0.6],
        std=[0.1, 0.2, 0.3],
    )


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """The state dict of a squeezenet with its classifier."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.squeezenet1_1(weights=None)
    return network.state_dict()


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("convnext_tiny", 768),
        ("densenet121", 1024),
        ("efficientnet_b0", 1280),
        ("mobilenet_v3_small", 1024),
        ("resnet18", 512),
        ("resnet50", 2048),
        ("shufflenet_v2_x0_5", 1024),
        ("squeezenet1_0", 512),
        ("swin_t", 768),
        ("vgg16", 4096),
        ("vit_b_32", 768),
    ],
)
def test_features_are_those_of_the_penultimate_layer(name: str, width: int) -> None:
    with torch.device("meta"):  # shapes alone
        backbone = Backbone(config(name)).eval()
        assert backbone(torch.rand(2, 3, 32, 32)).shape == (2, width)


def test_vgg16_is_cut_after_the_relu_of_fc7() -> None:
    with torch.device("meta"):
        classifier = Backbone(config("vgg16")).network.get_submodule("classifier")
    layers = list(classifier.children())[-4:]
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Identity]
    assert layers[0].out_features == layers[0].in_features == 4096


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

    # A classifier of other categories is left out too.
    other = {
        "classifier.1.weight": torch.zeros(10, 512, 1, 1),
        "classifier.1.bias": torch.zeros(10),
    }
    torch.save(whole | other, tmp_path / "other.pt")
    assert load_weights(config(weights=str(tmp_path / "other.pt"))).keys() == state.keys()

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
    torch.save(whole | {"features.0.bias": torch.full((64,), torch.nan)}, path)
    assert "no numbers" in error()


def test_unknown_weights_name_lists_the_choices() -> None:
    with pytest.raises(InputError, match="IMAGENET1K_V1") as caught:
        load_weights(config(weights="IMAGENET1K_V9"))
    message = str(caught.value)
    assert "'IMAGENET1K_V9'" in message and "'pretrain'" in message and "\n" not in message


@pytest.mark.parametrize(
    "weights", ["pretrain", "IMAGENET1K_V1", "https://example.org/w.pt", "there.pt"]
)
def test_usable_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.pt").touch()
    sha256 = "0" * 64 if "://" in weights else None
    check_source(DeclaredBackbone(name="squeezenet1_1", weights=weights, sha256=sha256), KEY)


@pytest.mark.parametrize("weights", ["gone.pt", "IMAGENET1K_V9", "pretrained", "openai", ".", ""])
def test_unusable_sources(weights: str) -> None:
    with pytest.raises(InputError, match=f"^{KEY}.weights: '{weights}' is neither") as caught:
        check_source(DeclaredBackbone(name="squeezenet1_1", weights=weights), KEY)
    assert "\n" not in str(caught.value)


def test_file_with_a_hash(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "whole.pt"
    torch.save(whole, path)
    right = config(weights=str(path), sha256=file_sha256(path))
    assert load_weights(right)["features.0.bias"].equal(whole["features.0.bias"])
    with pytest.raises(InputError, match=f"{path}: its SHA-256 is {file_sha256(path)}"):
        load_weights(config(weights=str(path), sha256="0" * 64))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it has downloaded."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def test_url_is_fetched_once(tmp_path: Path, hub: Path, whole: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "whole.pt"
    torch.save(whole, path)
    remote = config(weights=path.as_uri(), sha256=file_sha256(path))
    first = load_weights(remote)
    path.unlink()
    again = load_weights(remote)
    assert all(torch.equal(first[name], whole[name]) for name in first)
    assert all(torch.equal(again[name], first[name]) for name in first)
    assert len(list(hub.iterdir())) == 1


def test_url_with_another_hash_leaves_nothing(
    tmp_path: Path, hub: Path, whole: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "whole.pt"
    torch.save(whole, path)
    remote = config(weights=path.as_uri(), sha256="0" * 64)
    with pytest.raises(InputError, match=file_sha256(path)) as caught:
        load_weights(remote)
    assert "\n" not in str(caught.value)
    assert not list(hub.iterdir())


def test_named_weights_are_never_unpickled_as_code(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(url: str, target: str, *_: object, **__: object) -> None:
        Path(target).write_bytes(pickle.dumps(Unpickled(), protocol=2))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(InputError, match="'IMAGENET1K_V1' can't be downloaded") as caught:
        load_weights(config(weights="IMAGENET1K_V1"))
    assert "\n" not in str(caught.value)


def test_named_weights(
    hub: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, torch.Tensor]
) -> None:
    def download(url: str, target: str, *_: object, **__: object) -> None:
        assert "squeezenet1_1" in url
        torch.save(whole, target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    state = load_weights(config(weights="IMAGENET1K_V1"))
    assert all(torch.equal(state[name], whole[name]) for name in state)


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
        ({"name": "resnet51"}, "name: unknown backbone; .*open_clip/.*resnet50"),
        ({"weights": "https://example.org/w.pt"}, "weights from a URL need their sha256"),
        ({"sha256": "abc"}, "sha256: .*it is 'abc'"),
        ({"mean": [0.5]}, "mean: expected three numbers"),
        ({"std": [0.5, 0.5]}, "std: expected three numbers"),
        ({"std": [0.5, 0.0, 0.5]}, "std.1: .*greater than 0"),
        ({"size": 16}, "size: .*32"),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"{KEY}[.:] ?{message}") as caught:
        parse(DeclaredBackbone, config().model_dump() | change, KEY)
    assert "\n" not in str(caught.value)


def test_named_weights_bring_their_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", pytest.fail)

    def found(name: str, weights: str, **given: object) -> BackboneConfig:
        return backbone_config({"name": name, "weights": weights} | given, KEY)

    resnet = found("resnet50", "IMAGENET1K_V2")
    assert (resnet.size, resnet.mean, resnet.std) == (224, IMAGENET["mean"], IMAGENET["std"])
    assert found("resnet50", "IMAGENET1K_V2", **IMAGENET) == resnet
    assert found("resnet50", "IMAGENET1K_V2", size=96, mean=None).size == 96
    large = found("efficientnet_v2_l", "IMAGENET1K_V1")
    assert (large.size, large.mean, large.std) == (480, [0.5] * 3, [0.5] * 3)
    assert found("vit_b_16", "IMAGENET1K_SWAG_E2E_V1").size == 384


def test_every_torchvision_name_says_what_it_expects() -> None:
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name).__members__:
            resolved = resolve(DeclaredBackbone(name=name, weights=weights), KEY)
            assert resolved.size >= 224 and len(resolved.mean) == len(resolved.std) == 3


def test_unnamed_weights_need_a_declared_input() -> None:
    declared = config(weights="some/file.pt").model_dump()
    assert backbone_config(declared, KEY) == config(weights="some/file.pt")
    remote = {"weights": "https://example.org/w.pt", "sha256": "0" * 64}
    for change in ({}, remote):
        for missing in ("size", "mean", "std"):
            with pytest.raises(InputError, match=f"^params.yaml: {KEY}.{missing}: missing"):
                backbone_config(declared | change | {missing: None}, KEY)


def test_weights_learned_here_need_a_size_alone() -> None:
    """Their mean and std are ImageNet's, unless others are given."""
    declared = {"name": "mobilenet_v3_small", "weights": "pretrain"}
    found = backbone_config(declared | {"size": 96}, KEY)
    assert (found.size, found.mean, found.std) == (96, IMAGENET["mean"], IMAGENET["std"])
    given = {"size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
    found = backbone_config(declared | given, KEY)
    assert (found.size, found.mean, found.std) == (64, [0.5] * 3, [0.25] * 3)
    with pytest.raises(InputError, match=f"^params.yaml: {KEY}.size: missing"):
        backbone_config(declared, KEY)


def test_errors_name_the_file_of_the_profile() -> None:
    declared = {"name": "resnet50", "weights": "IMAGENET1K_V1", "mean": [0.5] * 3}
    with pytest.raises(InputError, match=f"^params/x.yaml: {KEY}.mean: "):
        backbone_config(declared, KEY, "params/x.yaml")
    with pytest.raises(InputError, match=f"^params/x.yaml: {KEY}.weight: unknown"):
        backbone_config(declared | {"weight": 1}, KEY, "params/x.yaml")


@pytest.mark.parametrize(
    ("name", "weights", "change", "message"),
    [
        ("resnet50", "IMAGENET1K_V1", {"mean": [0.5] * 3}, "mean: .*expect .0.485"),
        ("resnet50", "IMAGENET1K_V1", {"std": [0.5] * 3}, "std: .*expect .0.229"),
        ("resnet50", "IMAGENET1K_V1", {"sha256": "0" * 64}, "sha256: only for"),
        ("resnet50", "pretrain", {"sha256": "0" * 64, "size": 96, **IMAGENET}, "sha256: only"),
        ("vit_b_16", "IMAGENET1K_V1", {"size": 96}, "size: 96, but the weights expect 224"),
        ("vit_b_16", "pretrain", {"size": 96, **IMAGENET}, "weights: 'pretrain' is for conv"),
    ],
)
def test_input_that_does_not_fit(
    name: str, weights: str, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=f"^params.yaml: {KEY}.{message}") as caught:
        backbone_config({"name": name, "weights": weights} | change, KEY)
    assert "\n" not in str(caught.value)


def test_named_googlenet_is_normalised_as_its_weights_expect() -> None:
    """They come from another library: torchvision's network turns ImageNet's mean into .5."""
    torch.manual_seed(0)
    named = Backbone(resolve(DeclaredBackbone(name="googlenet", weights="IMAGENET1K_V1"), KEY))
    plain = BackboneConfig(
        name="googlenet", weights="file.pt", size=224, mean=[0.5] * 3, std=[0.5] * 3
    )
    other = Backbone(plain)
    other.load_state_dict(named.state_dict())
    frames = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(named.eval()(frames), other.eval()(frames), rtol=1e-4, atol=1e-5)


def test_clip_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    declared = {"name": "open_clip/ViT-B-32", "weights": "openai"}
    with pytest.raises(InputError, match=r"pip install -r requirements-clip.txt") as caught:
        backbone_config(declared, KEY)
    assert "\n" not in str(caught.value)
    backbone_config({"name": "resnet50", "weights": "IMAGENET1K_V1"}, KEY)

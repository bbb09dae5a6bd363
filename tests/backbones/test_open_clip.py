"""CLIP's vision branch, against open_clip's own whole CLIP."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from chain.backbones.networks import Backbone, BackboneConfig, load_backbone
from chain.backbones.weights import backbone_config, load_weights
from chain.core.errors import InputError

KEY = "backbone"
NAME = "open_clip/tiny-vit"
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
WIDTH = 16


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The package, which learns of a tiny model."""
    module: ModuleType = pytest.importorskip(
        "open_clip", reason="needs pip install -r requirements-clip.txt"
    )
    model = {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 32},
        "text_cfg": {"vocab_size": 8, "width": 64, "heads": 1, "layers": 1},
    }
    path = tmp_path_factory.mktemp("models") / "tiny-vit.json"
    path.write_text(json.dumps(model))
    module.add_model_config(path)
    return module


@pytest.fixture(scope="module")
def whole(open_clip: ModuleType) -> Any:
    torch.manual_seed(0)
    return open_clip.create_model("tiny-vit").eval()


def config(weights: Path | str, name: str = NAME) -> BackboneConfig:
    return BackboneConfig(name=name, weights=str(weights), size=64, mean=MEAN, std=STD)


def vision(whole: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = whole.visual.state_dict()
    return state


def test_features_are_the_image_embeddings(whole: Any, tmp_path: Path) -> None:
    torch.save(whole.state_dict(), tmp_path / "whole.pt")
    torch.save(load_weights(config(tmp_path / "whole.pt")), tmp_path / "backbone.pt")
    backbone = load_backbone(config(tmp_path / "whole.pt"), tmp_path / "backbone.pt")
    frames = torch.rand(3, 3, 64, 64)
    normalised = (frames - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.inference_mode():
        features = backbone(frames)
        torch.testing.assert_close(features, whole.encode_image(normalised))
    assert features.shape == (3, WIDTH) and not backbone.training


def test_the_branch_alone_and_safetensors_hold_the_same(whole: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.save(vision(whole), tmp_path / "branch.pt")
    half = {name: tensor.half() for name, tensor in whole.state_dict().items()}
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    torch.save(half, tmp_path / "half.pt")
    for file, tolerance in (("branch.pt", 0), ("whole.safetensors", 0), ("half.pt", 1e-3)):
        state = load_weights(config(tmp_path / file))
        assert state.keys() == vision(whole).keys()
        for name, tensor in vision(whole).items():
            assert state[name].dtype == torch.float32
            torch.testing.assert_close(state[name], tensor, rtol=tolerance, atol=tolerance)


def test_files_that_are_no_clip(whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    for state in ({}, {"a": torch.zeros(1)}, torch.zeros(1), {"visual.a": torch.zeros(1)}):
        torch.save(state, path)
        with pytest.raises(InputError, match=f"{path}: not weights of {NAME}") as caught:
            load_weights(config(path))
        assert "\n" not in str(caught.value)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="not a state-dict file"):
        load_weights(config(path))


@pytest.fixture
def tag(
    open_clip: ModuleType, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The entry of named weights of the tiny model, `mine`, which need no download."""
    torch.save(whole.state_dict(), tmp_path / "mine.pt")
    entry = {"file": str(tmp_path / "mine.pt"), "mean": tuple(MEAN), "std": tuple(STD)}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-vit", {"mine": entry})
    return entry


def test_named_weights_bring_their_input(whole: Any, tag: dict[str, Any]) -> None:
    found = backbone_config({"name": NAME, "weights": "mine"}, KEY)
    assert found == config("mine")
    state = load_weights(found)
    assert all(torch.equal(state[name], tensor) for name, tensor in vision(whole).items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.5] * 3}, "mean: .*expect .0.4, 0.5, 0.6"),
        ({"std": [0.5] * 3}, "std: .*expect .0.1, 0.2, 0.3"),
        ({"size": 96}, "size: 96, but the weights expect 64"),
        ({"sha256": "0" * 64}, "sha256: only"),
        ({"weights": "pretrain"}, "weights: 'pretrain' is for convolutional networks"),
        ({"weights": "mine.pt"}, "mean: missing"),
        ({"weights": "mine.pt", "size": 96}, "size: 96, but the weights expect 64"),
    ],
)
def test_input_that_does_not_fit(
    tag: dict[str, Any], change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=f"^params.yaml: {KEY}.{message}") as caught:
        backbone_config({"name": NAME, "weights": "mine"} | change, KEY)
    assert "\n" not in str(caught.value)


def test_activation_is_the_one_of_the_weights(tag: dict[str, Any]) -> None:
    def activation(weights: str) -> str:
        layers = Backbone(config(weights)).modules()
        return next(kind for layer in layers if "GELU" in (kind := type(layer).__name__))

    assert activation("mine") == activation("file.pt") == "GELU"
    tag["quick_gelu"] = True
    assert activation("mine") == "QuickGELU"
    assert activation("file.pt") == "GELU"


def test_the_published_model(open_clip: ModuleType) -> None:
    found = backbone_config({"name": "open_clip/ViT-B-32", "weights": "openai"}, KEY)
    assert found.size == 224
    assert found.mean == list(open_clip.OPENAI_DATASET_MEAN)
    assert found.std == list(open_clip.OPENAI_DATASET_STD)
    with torch.device("meta"):  # shapes alone
        assert Backbone(found).eval()(torch.rand(2, 3, 224, 224)).shape == (2, 512)


def test_unknown_names_list_the_known(tag: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"open_clip/ViT-B-33: no model.*, ViT-B-32,"):
        backbone_config({"name": "open_clip/ViT-B-33", "weights": "openai"}, KEY)
    with pytest.raises(InputError, match=rf"'yours' is neither a file .*{NAME} \(mine\)"):
        load_weights(config("yours"))


def test_failed_download_is_one_line(
    open_clip: ModuleType, tag: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: object) -> None:
        raise FileNotFoundError("no\nnetwork")

    monkeypatch.setattr(open_clip, "download_pretrained", download)
    with pytest.raises(InputError, match=r"'mine' can't be downloaded \(no network\)") as caught:
        load_weights(config("mine"))
    assert "\n" not in str(caught.value)

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chain.backbones import pretraining as module
from chain.backbones.networks import Backbone, BackboneConfig
from chain.backbones.pretraining import PretrainConfig, calibrate_batch_norms, pretrain
from chain.core.errors import InputError
from chain.features.augmentation import AugmentConfig

BACKBONE = BackboneConfig(
    name="mobilenet_v3_small", weights="pretrain", size=32, mean=[0.5] * 3, std=[0.25] * 3
)
CONFIG = PretrainConfig(
    steps=5,
    batch=4,
    size=32,
    lr=0.001,
    weight_decay=0.0001,
    temperature=0.2,
    gap=2,
    seed=0,
    augment=AugmentConfig(
        crop_scale=0.3,
        flip=0.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grey=0.2,
        blur=0.3,
    ),
)
FRAMES = np.random.default_rng(0).integers(0, 256, (7, 5, 32, 32, 3), dtype=np.uint8)
TRAIN = np.array([0, 2, 3, 5, 6])
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALIBRATION_BATCHES", 2)


def run(scratch: Path, **change: object) -> dict[str, Tensor]:
    config = CONFIG.model_copy(update=change)
    scratch.mkdir(exist_ok=True)
    return pretrain(FRAMES, TRAIN, BACKBONE, config, CPU, scratch)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_resumed_run_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole")

    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 2)
    original, steps = module.nt_xent, []

    def killed_in_the_fourth(*views: Tensor) -> Tensor:
        steps.append(len(steps))
        if len(steps) == 4:
            raise KeyboardInterrupt
        return original(*views)

    monkeypatch.setattr(module, "nt_xent", killed_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    torch.manual_seed(1234)
    assert same(run(tmp_path / "killed"), whole)
    assert len(steps) == 4 + 3  # steps 3 to 5 once more

    # Killed after the last step, before anyone took the weights.
    torch.manual_seed(99)
    assert same(run(tmp_path / "killed"), whole)
    assert len(steps) == 4 + 3


def test_weights_fit_a_backbone_and_have_moved(tmp_path: Path) -> None:
    state = run(tmp_path / "one", steps=1)
    torch.manual_seed(CONFIG.seed)
    backbone = Backbone(BACKBONE)
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    moved = [name for name in before if not torch.equal(before[name], state[name])]
    assert all(name in moved for name, _ in backbone.network.named_parameters() if "weight" in name)
    backbone.network.load_state_dict(state)


def test_seed_changes_the_weights(tmp_path: Path) -> None:
    first, second = run(tmp_path / "0", steps=1), run(tmp_path / "1", steps=1, seed=1)
    assert not same(first, second)


def test_too_few_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch is 6, but there are only 5 training clips"):
        run(tmp_path, batch=6)


def test_divergence_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nt_xent", lambda a, b, _: (a - b).sum() * torch.nan)
    with pytest.raises(InputError, match="no number in step 4; lower"):
        run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_pairs_are_two_near_frames_of_one_training_clip() -> None:
    """Frames of one grey level each, and an augmentation that changes nothing but the crop."""
    levels = (np.arange(7)[:, None] * 5 + np.arange(5)).astype(np.uint8)
    frames = np.broadcast_to(levels[:, :, None, None, None], (7, 5, 8, 8, 3))
    still = dict.fromkeys(AugmentConfig.model_fields, 0.0) | {"crop_scale": 1.0}
    config = CONFIG.model_copy(update={"gap": 1, "augment": AugmentConfig(**still)})
    distances, clips = set(), set()
    for step in range(60):
        images = module._pairs(frames, TRAIN, config, step)
        assert images.shape == (8, 3, 32, 32)
        level = (images.mean(dim=(1, 2, 3)) * 255).round().int()
        first, second = level[:4], level[4:]
        assert (first // 5 == second // 5).all() and len((first // 5).unique()) == 4
        clips |= set((first // 5).tolist())
        distances |= set((second - first).tolist())
    assert clips == set(TRAIN.tolist()) and distances == {-1, 0, 1}


def test_batch_norms_hold_the_exact_averages_of_clean_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    backbone = Backbone(BACKBONE).train()
    backbone.network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.BatchNorm2d(3))
    monkeypatch.setattr(module, "CALIBRATION_BATCHES", 30)
    calibrate_batch_norms(backbone, FRAMES, TRAIN, CONFIG)
    first, _, second = backbone.network
    pixels = FRAMES[TRAIN].reshape(-1, 3) / 255
    expected = (pixels.mean(axis=0) - 0.5) / 0.25
    np.testing.assert_allclose(first.running_mean.numpy(), expected, atol=0.02)
    np.testing.assert_allclose(first.running_var.numpy(), pixels.var(axis=0) * 16, rtol=0.02)
    # The first gives mean 0 and variance 1; had the dropout been on, this were a variance of 2.
    np.testing.assert_allclose(second.running_var.numpy(), 1, rtol=0.02)
    assert not any(layer.training for layer in (backbone, *backbone.network))

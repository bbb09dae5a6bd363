"""Self-supervised pre-training of the CNN on the unlabelled training frames.

It serves where no ImageNet weights can be had. Two augmented frames of the same video that are near
in time are a positive pair for NT-Xent. This is SimCLR (arXiv 2002.05709) with time as one more
augmentation, as in CVRL (arXiv 2008.03800).
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from tqdm import tqdm

from chain.backbones.networks import Backbone, BackboneConfig
from chain.core.errors import UNFINISHED, InputError
from chain.core.files import replacing
from chain.core.params import Parameters, Seed
from chain.core.tensors import load_tensors, save_tensors
from chain.features.augmentation import AugmentConfig, apply, draw, resize, to_images
from chain.losses.nt_xent import nt_xent

STEPS_BETWEEN_CHECKPOINTS = 50
CALIBRATION_BATCHES = 20


class PretrainConfig(Parameters):
    """The pre-training of the CNN; used where `backbone.weights` is `pretrain`."""

    steps: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=2)]
    """Pairs of frames in a step."""
    size: Annotated[int, Field(ge=32)]
    """Side of the training crops, pixels."""
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    temperature: Annotated[float, Field(gt=0)]
    gap: Annotated[int, Field(ge=0)]
    """Largest distance between the two frames of a pair, in stored frames."""
    seed: Seed
    augment: AugmentConfig


def pretrain(
    frames: NDArray[np.uint8],
    train: NDArray[np.int64],
    backbone_config: BackboneConfig,
    config: PretrainConfig,
    device: torch.device,
    scratch: Path,
) -> dict[str, Tensor]:
    """Train on frames (N, D, S, S, 3) of the clips `train`; returns the backbone's state dict.

    Every step draws from its own seed, so a run that resumes from the checkpoint in `scratch` ends
    in the same weights as one that was never stopped. Raises InputError if there are fewer clips
    than pairs in a batch, or if the loss is not finite.
    """
    if len(train) < config.batch:
        raise InputError(
            f"pretrain.batch is {config.batch}, but there are only {len(train)} training clips"
        )
    torch.manual_seed(config.seed)
    backbone = Backbone(backbone_config)
    with torch.inference_mode():
        width = backbone.eval()(torch.rand(1, 3, config.size, config.size)).shape[1]
    head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 128))
    model = nn.ModuleDict({"backbone": backbone, "head": head}).to(device).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)

    checkpoint = scratch / "checkpoint.pt"
    start = 0
    if checkpoint.exists():
        saved = load_tensors(checkpoint, "a checkpoint", device, UNFINISHED)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        start = saved["step"]

    progress = tqdm(range(start, config.steps), initial=start, total=config.steps, desc="pretrain")
    for step in progress:
        images = _pairs(frames, train, config, step).to(device)
        torch.manual_seed(step)
        features = head(backbone(images))
        loss = nt_xent(features[: config.batch], features[config.batch :], config.temperature)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0 or step + 1 == config.steps:
            if not loss.isfinite():
                raise InputError(f"the loss is no number in step {step}; lower pretrain.lr")
            progress.set_postfix(loss=f"{loss.item():.3f}")
            state = {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
            }
            with replacing(checkpoint) as temporary:
                save_tensors(temporary, state)
    calibrate_batch_norms(backbone, frames, train, config)
    return {name: tensor.cpu() for name, tensor in backbone.network.state_dict().items()}


@torch.no_grad()
def calibrate_batch_norms(
    backbone: Backbone, frames: NDArray[np.uint8], train: NDArray[np.int64], config: PretrainConfig
) -> None:
    """Set the running statistics to averages over clean training frames (arXiv 2105.07576).

    The statistics that training leaves lag behind the weights and describe augmented frames. On the
    demo the mAP@20 of mean-pooled features is .099 with them and .251 with the averages.
    """
    backbone.eval()  # without dropout
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a cumulative average
            layer.train()
    device = next(backbone.parameters()).device
    random = np.random.default_rng(config.seed)
    for _ in range(CALIBRATION_BATCHES):
        clips = random.choice(train, 2 * config.batch)
        images = to_images(frames[clips, random.integers(0, frames.shape[1], len(clips))])
        backbone(resize(images, config.size).to(device))
    backbone.eval()


def _pairs(
    frames: NDArray[np.uint8],
    train: NDArray[np.int64],
    config: PretrainConfig,
    step: int,
) -> Tensor:
    """Draw the pairs of a step: (2 * batch, 3, size, size), the first frames, then the second."""
    random = np.random.default_rng([config.seed, step])
    clips = random.choice(train, config.batch, replace=False)
    dense = frames.shape[1]
    first = random.integers(0, dense, config.batch)
    distance = random.integers(-config.gap, config.gap + 1, config.batch)
    second = np.clip(first + distance, 0, dense - 1)
    pixels = frames[np.concatenate([clips, clips]), np.concatenate([first, second])]
    images = to_images(pixels)
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    return apply(images, draw(len(images), config.augment, generator), config.size)

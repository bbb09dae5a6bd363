"""CNN features of the clean frames, and the bank of augmented views that training draws from.

The CNN is the costly part, so it sees every frame once clean and once for each of V augmented views
of the training clips; the augmentations stay pixel-level and a training step costs milliseconds.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from chain.features.augment import AugmentConfig, Augmentation, Spatial, apply, draw
from chain.features.backbone import Backbone
from chain.params import Parameters

log = logging.getLogger(__name__)


class BankConfig(Parameters):
    """Which banks of augmented views to extract."""

    views: Annotated[int, Field(ge=1)]
    """Augmented views of each training clip, V."""
    seed: Annotated[int, Field(ge=0)]
    spatial: list[Spatial]
    """The kinds of draw, one bank each: `consistent`, `per_frame` (`none` needs no bank)."""


class FeatureExtractor:
    """Backbone, augmentation and device: uint8 frames in, fp16 features out."""

    def __init__(self, backbone: Backbone, size: int, device: torch.device) -> None:
        self.backbone = backbone.to(device)
        self.size = size
        self.device = device

    @torch.inference_mode()
    def __call__(
        self, frames: NDArray[np.uint8], augmentation: Augmentation | None = None
    ) -> NDArray[np.float16]:
        """Frames (n, H, W, 3) -> features (n, F)."""
        images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
        if augmentation is None:
            images = resize(images, self.size)
        else:
            images = apply(images, augmentation, self.size)
        features: Tensor = self.backbone(images.to(self.device))
        return features.cpu().numpy().astype(np.float16)


def resize(images: Tensor, size: int) -> Tensor:
    """Images (n, 3, H, W) -> (n, 3, size, size), bilinear with antialiasing."""
    if images.shape[-1] == size:
        return images
    return torch.nn.functional.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def view_augmentation(
    clip: int, view: int, frames: int, spatial: Spatial, config: AugmentConfig, seed: int
) -> Augmentation:
    """The draw of one view of one clip, independent of the order in which clips are visited."""
    entropy = np.random.SeedSequence([seed, clip, view]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy >> 1))
    if spatial == "consistent":
        return draw(1, config, generator).repeat(frames)
    return draw(frames, config, generator)


def extract(
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    train: Sequence[int],
    bank: BankConfig,
    augment: AugmentConfig,
    scratch: Path,
) -> dict[str, NDArray[np.float16]]:
    """Features of packed frames (N, D, S, S, 3), in one pass over the clips.

    Returns memory maps in `scratch`: `clean` (N, D, F), and for each kind of draw `bank_<kind>`
    (len(train), V, D, F) whose rows follow `train`. A run that was killed goes on after the last
    clip that it finished.
    """
    count, dense = frames.shape[:2]
    width = extractor(frames[0, :1]).shape[1]
    kinds: list[Spatial] = [kind for kind in bank.spatial if kind != "none"]
    arrays = {"clean": _array(scratch / "clean.npy", (count, dense, width))}
    for kind in kinds:
        shape = (len(train), bank.views, dense, width)
        arrays[f"bank_{kind}"] = _array(scratch / f"bank_{kind}.npy", shape)
    marker = scratch / "clips_done"
    start = int(marker.read_text()) if marker.exists() else 0
    row_of = {clip: row for row, clip in enumerate(train)}

    progress = tqdm(total=count * dense, unit="frame", desc="features", initial=start * dense)
    for clip in range(start, count):
        arrays["clean"][clip] = extractor(frames[clip])
        if clip in row_of:
            for kind in kinds:
                for view in range(bank.views):
                    drawn = view_augmentation(clip, view, dense, kind, augment, bank.seed)
                    features = extractor(frames[clip], drawn)
                    arrays[f"bank_{kind}"][row_of[clip], view] = features
        if (clip + 1) % 100 == 0:
            for array in arrays.values():
                array.flush()
            marker.with_suffix(".new").write_text(str(clip + 1))
            marker.with_suffix(".new").replace(marker)
        progress.update(dense)
    progress.close()
    for array in arrays.values():
        array.flush()
    return dict(arrays)


def _array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=shape)

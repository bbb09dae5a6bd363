"""CNN features of the clean frames, and the bank of augmented views that training draws from.

The CNN is the costly part. So it sees every frame once as it is, and the frames of the training
clips once more for each of V augmented views. Frames are augmented as pixels all the same, and a
training step, which only draws from the bank, takes milliseconds.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from chain.backbones.networks import Backbone
from chain.core.arrays import create_array, reopen_array
from chain.core.errors import InputError
from chain.core.files import replacing
from chain.core.params import Parameters, Seed
from chain.features.augmentation import (
    STRENGTHS,
    Augmentation,
    AugmentConfig,
    Spatial,
    apply,
    draw,
    resize,
    to_images,
)
from chain.features.prefetch import prefetch

CLIPS_BETWEEN_CHECKPOINTS = 100
AHEAD = 2  # batches that are prepared while the CNN is at work


class BankConfig(Parameters):
    """Which banks of augmented views to extract."""

    views: Annotated[int, Field(ge=1)]
    """Augmented views of each training clip, V."""
    seed: Seed = 0
    spatial: list[Spatial]
    """The kinds of augmentation. Each has a bank of its own, except `none`, which needs none."""

    @property
    def kinds(self) -> list[Spatial]:
        """The kinds of augmentation that need a bank."""
        return [kind for kind in self.spatial if kind != "none"]


class FeatureExtractor:
    """It turns uint8 frames into fp16 features, by augmentation and backbone on a device."""

    def __init__(self, backbone: Backbone, size: int, device: torch.device) -> None:
        self.backbone = backbone.to(device)
        self.size = size
        self.device = device

    def __call__(
        self, frames: NDArray[np.uint8], augmentation: Augmentation | None = None
    ) -> NDArray[np.float16]:
        """Compute the features (n, F) of frames (n, H, W, 3), or (V * n, F) of V views of them."""
        return self.features(self.prepare(frames, augmentation))

    @torch.inference_mode()
    def prepare(
        self, frames: NDArray[np.uint8], augmentation: Augmentation | None = None
    ) -> Tensor:
        """Turn frames (n, H, W, 3) into normalised images, (n or V * n, 3, size, size).

        Views are made one after the other, since a single view stays in the processor's cache.
        """
        images = to_images(frames).to(self.device)
        if augmentation is None:
            return self._normalise_(resize(images, self.size))
        views = augmentation.split(len(frames))
        return torch.cat([self._normalise_(apply(images, view, self.size)) for view in views])

    @torch.inference_mode()
    def features(self, prepared: Tensor) -> NDArray[np.float16]:
        """Compute the features (n, F) of what `prepare` returned."""
        features: Tensor = self.backbone.network(prepared)
        with np.errstate(over="ignore"):  # `check_finite` finds it
            return features.cpu().numpy().astype(np.float16)

    def _normalise_(self, images: Tensor) -> Tensor:
        """Normalise as `Backbone.forward` does, in the memory of `images`."""
        images.sub_(self.backbone.mean).div_(self.backbone.std)
        return images.contiguous(memory_format=torch.channels_last)


def check_finite(features: NDArray[np.float16], name: str) -> None:
    """Raise InputError if features of the clip `name` are not finite, or beyond fp16."""
    if not np.isfinite(features).all():
        raise InputError(
            f"{name}: its features are not finite, or beyond fp16, which ends at 65,504; look at "
            "backbone.weights, mean and std"
        )


def view_augmentations(
    clip: int, views: int, frames: int, spatial: Spatial, config: AugmentConfig, seed: int
) -> Augmentation:
    """Draw the parameters of all views of one clip: views * frames rows.

    They depend on the clip's number and the seed, not on the clips before it.
    """
    entropy = np.random.SeedSequence([seed, clip]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy >> 1))
    config = config.scaled(STRENGTHS[spatial])
    if spatial == "per_frame":
        return draw(views * frames, config, generator)
    return draw(views, config, generator).repeat(frames)


def clip_features(
    clips: Iterable[int],
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    train: NDArray[np.int64],
    bank: BankConfig,
    augment: AugmentConfig,
) -> Iterator[dict[str, NDArray[np.float16]]]:
    """Yield the features of each clip in turn.

    They are `clean` (D, F) and, for a training clip, `bank_<kind>` (V, D, F) for each kind of
    augmentation. A clip has the same features to the bit whichever clips come before it. Frames are
    read, resized and augmented while the CNN works, if it leaves a core free.
    """
    dense, trained = frames.shape[1], set(train.tolist())

    def prepared() -> Iterator[tuple[int, str, Tensor]]:
        for clip in clips:
            yield clip, "clean", extractor.prepare(frames[clip])
            for kind in bank.kinds if clip in trained else ():
                drawn = view_augmentations(clip, bank.views, dense, kind, augment, bank.seed)
                yield clip, f"bank_{kind}", extractor.prepare(frames[clip], drawn)

    batches = prefetch(prepared(), AHEAD) if _spare_core(extractor.device) else prepared()
    for _, parts in groupby(batches, key=itemgetter(0)):
        found = {name: extractor.features(images) for _, name, images in parts}
        yield {
            name: features if name == "clean" else features.reshape(bank.views, dense, -1)
            for name, features in found.items()
        }


def _spare_core(device: torch.device) -> bool:
    """Tell whether the CNN on `device` leaves a core free; threads that share one are slower."""
    return device.type != "cpu" or torch.get_num_threads() < (os.cpu_count() or 1)


Compute = Callable[
    [
        Iterable[int],
        FeatureExtractor,
        NDArray[np.uint8],
        NDArray[np.int64],
        BankConfig,
        AugmentConfig,
    ],
    Iterator[dict[str, NDArray[np.float16]]],
]


def extract(
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    train: NDArray[np.int64],
    bank: BankConfig,
    augment: AugmentConfig,
    scratch: Path,
    compute: Compute = clip_features,
) -> dict[str, NDArray[np.float16]]:
    """Compute the features of packed frames (N, D, S, S, 3) in one pass over the clips.

    Returns memory maps in `scratch`: `clean` (N, D, F), and for each kind of augmentation
    `bank_<kind>` (len(train), V, D, F), whose rows follow `train`. The file `clips_done`, also in
    `scratch`, counts the finished clips now and then, and a run that was killed goes on from there.
    """
    count, dense = frames.shape[:2]
    width = extractor(frames[0, :1]).shape[1]
    marker = scratch / "clips_done"
    start = int(marker.read_text()) if marker.exists() else 0
    shapes: dict[str, tuple[int, ...]] = {"clean": (count, dense, width)}
    shapes |= {f"bank_{kind}": (len(train), bank.views, dense, width) for kind in bank.kinds}
    open_array = reopen_array if start else create_array
    arrays = {
        name: open_array(scratch / f"{name}.npy", np.float16, shape)
        for name, shape in shapes.items()
    }
    row_of = {int(clip): row for row, clip in enumerate(train)}

    progress = tqdm(total=count * dense, unit="frame", desc="features", initial=start * dense)
    todo = range(start, count)
    results = compute(todo, extractor, frames, train, bank, augment)
    for clip, found in zip(todo, results, strict=True):
        for name, features in found.items():
            arrays[name][clip if name == "clean" else row_of[clip]] = features
        if (clip + 1) % CLIPS_BETWEEN_CHECKPOINTS == 0 or clip + 1 == count:
            for array in arrays.values():
                array.flush()
            with replacing(marker) as temporary:
                temporary.write_text(str(clip + 1))
        progress.update(dense)
    progress.close()
    return dict(arrays)

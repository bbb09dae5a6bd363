"""CNN features of the clean frames, and the bank of augmented views that training draws from.

The CNN is the costly part. So it sees every frame once as it is, and the frames of the training
clips once more for each of V augmented views. Frames are augmented as pixels all the same, and a
training step, which only draws from the bank, takes milliseconds.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

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
from chain.core.kept import Kept
from chain.core.params import Parameters, Seed
from chain.core.scratch import read_progress
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
from chain.pipeline.code import made_by

log = logging.getLogger(__name__)

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
    """Turns uint8 frames into fp16 features: augments them and applies the backbone."""

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


def remove_markers(folder: Path) -> None:
    """Remove the files that counted what was done. They are of no use once everything is done."""
    for marker in folder.glob("*_done"):
        marker.unlink()


def check_finite(features: NDArray[np.float16], name: str) -> None:
    """Raise InputError if features of the clip `name` are not finite, or beyond fp16."""
    if not np.isfinite(features).all():
        raise InputError(
            f"{name}: its features are not finite, or beyond fp16, which ends at 65,504; look at "
            "backbone.weights, mean and std"
        )


def view_augmentations(
    clip: str, views: int, frames: int, spatial: Spatial, config: AugmentConfig, seed: int
) -> Augmentation:
    """Draw the parameters of all views of one clip: views * frames rows.

    They depend on the clip's id and the seed, not on the other clips of the data set.
    """
    number = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:8])
    entropy = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy >> 1))
    config = config.scaled(STRENGTHS[spatial])
    if spatial == "per_frame":
        return draw(views * frames, config, generator)
    return draw(views, config, generator).repeat(frames)


def clip_features(
    clips: Iterable[int],
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    ids: Sequence[str],
    train: NDArray[np.int64],
    bank: BankConfig,
    augment: AugmentConfig,
) -> Iterator[dict[str, NDArray[np.float16]]]:
    """Yield the features of each clip in turn; `ids` (N,) names all clips in `frames`.

    They are `clean` (D, F) and, for a training clip, `bank_<kind>` (V, D, F) for each kind of
    augmentation. A clip has the same features to the bit whichever other clips there are, because
    a batch holds frames of one clip. Frames are read, resized and augmented while the CNN works, if
    it leaves a core free.
    """
    dense, trained = frames.shape[1], set(train.tolist())

    def prepared() -> Iterator[tuple[int, str, Tensor]]:
        for clip in clips:
            yield clip, "clean", extractor.prepare(frames[clip])
            for kind in bank.kinds if clip in trained else ():
                drawn = view_augmentations(ids[clip], bank.views, dense, kind, augment, bank.seed)
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
        Sequence[str],
        NDArray[np.int64],
        BankConfig,
        AugmentConfig,
    ],
    Iterator[dict[str, NDArray[np.float16]]],
]


def extract(
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    ids: Sequence[str],
    train: NDArray[np.int64],
    bank: BankConfig,
    augment: AugmentConfig,
    scratch: Path,
    compute: Compute = clip_features,
    keep_as: str | None = None,
) -> dict[str, NDArray[np.float16]]:
    """Compute the features of packed frames (N, D, S, S, 3) in one pass over the clips.

    The views of a clip are drawn from its id, one of `ids` (N,). With `keep_as`, the arrays are
    kept under this name for later runs (see `Kept`), and clips of the same frames and id that an
    earlier run has kept are not computed again.

    Returns memory maps in `scratch`: `clean` (N, D, F), and for each kind of augmentation
    `bank_<kind>` (len(train), V, D, F), whose rows follow `train`. The file `clips_done`, also in
    `scratch`, counts the finished clips now and then, and a run that was killed goes on from there.
    Raises InputError naming the first clip whose features are not finite.
    """
    count, dense = frames.shape[:2]
    width = extractor(frames[0, :1]).shape[1]
    marker = scratch / "clips_done"
    start = read_progress(marker)
    shapes: dict[str, tuple[int, ...]] = {"clean": (count, dense, width)}
    shapes |= {f"bank_{kind}": (len(train), bank.views, dense, width) for kind in bank.kinds}
    open_array = reopen_array if start else create_array
    arrays = {
        name: open_array(scratch / f"{name}.npy", np.float16, shape)
        for name, shape in shapes.items()
    }
    row_of = {int(clip): row for row, clip in enumerate(train)}

    progress = tqdm(total=count * dense, unit="frame", desc="features", initial=start * dense)
    kept = Kept(keep_as, _made_with(extractor, bank, augment)) if keep_as else None
    contents = _contents(frames, ids) if kept else []
    reused = _computed_before(kept, contents, arrays, set(row_of)) if kept else {}
    todo = [clip for clip in range(start, count) if clip not in reused]
    results = iter(compute(todo, extractor, frames, ids, train, bank, augment))
    for clip in range(start, count):
        found = reused[clip] if clip in reused else next(results)
        for name, features in found.items():
            check_finite(features, ids[clip])
            arrays[name][clip if name == "clean" else row_of[clip]] = features
        if (clip + 1) % CLIPS_BETWEEN_CHECKPOINTS == 0 or clip + 1 == count:
            for array in arrays.values():
                array.flush()
            with replacing(marker) as temporary:
                temporary.write_text(str(clip + 1))
        progress.update(dense)
    progress.close()
    if kept:
        trained = [contents[clip] for clip in train]
        kept.replace(
            {
                name: (scratch / f"{name}.npy", contents if name == "clean" else trained)
                for name in arrays
            }
        )
        if reused:
            log.info("features: %d of %d clips as computed before", len(reused), count)
    return dict(arrays)


def _made_with(
    extractor: FeatureExtractor, bank: BankConfig, augment: AugmentConfig
) -> dict[str, Any]:
    """What the features of all clips depend on; device and threads change their rounding."""
    network, on_gpu = extractor.backbone, extractor.device.type == "cuda"
    weights = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        weights.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return {
        "weights": weights.hexdigest(),
        "backbone": network.config.model_dump(),
        "size": extractor.size,
        "bank": bank.model_dump(),
        "augment": augment.model_dump(),
        "device": torch.cuda.get_device_name(extractor.device) if on_gpu else str(extractor.device),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    } | made_by(Path(__file__))


def _contents(frames: NDArray[np.uint8], ids: Sequence[str]) -> list[str]:
    """What a clip's features depend on, besides what is the same for all: its frames and its id."""
    digests = (hashlib.sha256(clip.tobytes()).hexdigest() for clip in frames)
    return [f"{digest} {name}" for digest, name in zip(digests, ids, strict=True)]


def _computed_before(
    kept: Kept, contents: Sequence[str], arrays: Iterable[str], trained: Collection[int]
) -> dict[int, dict[str, NDArray[np.float16]]]:
    """The features of each clip of which an earlier run has computed all that are wanted."""
    reused = {}
    for clip, content in enumerate(contents):
        wanted = [name for name in arrays if name == "clean" or clip in trained]
        found = {name: kept.find(name, content) for name in wanted}
        whole = {name: features for name, features in found.items() if features is not None}
        if len(whole) == len(wanted):
            reused[clip] = whole
    return reused

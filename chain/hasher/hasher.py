"""The hasher: a video goes in, its binary code comes out, as in the pipeline that trained it."""

from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from chain.backbones.networks import Backbone
from chain.core.errors import InputError
from chain.features.bank import FeatureExtractor
from chain.features.prefetch import prefetch
from chain.hasher.coder import Code, Coder
from chain.hasher.folder import About, load_networks, read_about, read_codes
from chain.hasher.frames import Video, squares
from chain.hasher.statistics import Drift, drift
from chain.methods.base import Method
from chain.retrieval.codes import pack
from chain.views.sampling import uniform_frames

AHEAD = 2  # videos that are decoded while the networks are at work


class Hasher(Coder):
    """It makes the code of a video. `Hasher.load(folder)("a.mp4")` is the code of a file.

    A video is a file or an array of all its frames (n, H, W, 3), uint8 RGB. Codes are those of the
    pipeline bit for bit, on the same kind of processor with as many threads. Elsewhere a bit may
    differ whose value is within rounding of 0.
    """

    def __init__(
        self,
        about: About,
        backbone: Backbone,
        model: Method,
        training_codes: NDArray[np.uint8],
        device: str = "auto",
    ) -> None:
        """Put the networks on a device, as `load` does. Raises InputError if there is no such."""
        self.about, self.id, self.bits = about, about.id, about.config.model.bits
        self.training_codes = training_codes
        self.device = find_device(device)
        self.extractor = FeatureExtractor(backbone, about.config.backbone.size, self.device)
        self.model = model.to(self.device)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Self:
        """Load the hasher in a folder onto `cpu`, `cuda`, `cuda:1`, ..., or what `auto` finds.

        Raises InputError, one line, if the folder is no hasher, incomplete, damaged or of another
        version, or if there is no such device.
        """
        folder = Path(folder)
        about = read_about(folder)
        return cls(about, *load_networks(folder, about), read_codes(folder), device)

    def __call__(self, video: Video) -> Code:
        """Compute the code (b / 8,) of a video. Raises InputError if it can't be read."""
        code: Code = self.codes([video])[0]
        return code

    def codes(self, videos: Iterable[Video], progress: bool = False) -> NDArray[np.uint8]:
        """Compute the codes (N, b / 8) of N videos, in their order; `progress` shows a bar.

        Raises InputError, which names the file, at the first video that can't be read.
        """
        return pack(self.values(videos, progress))

    def values(self, videos: Iterable[Video], progress: bool = False) -> NDArray[np.float32]:
        """Compute the real values (N, b) whose signs are the codes; otherwise as `codes`."""
        total = len(videos) if isinstance(videos, Sized) else None
        bar = tqdm(self._frames(videos), total=total, unit="video", disable=not progress)
        found = [self.encode(self.extractor(frames)) for frames in bar]
        return np.stack(found) if found else np.empty((0, self.bits), np.float32)

    def drift(self, codes: NDArray[np.uint8]) -> Drift:
        """Tell whether the codes (M, b / 8) of new videos differ from those of training."""
        return drift(codes, self.training_codes)

    def _frames(self, videos: Iterable[Video]) -> Iterator[NDArray[np.uint8]]:
        decode = self.about.config.decode
        return prefetch((squares(one, decode.frames, decode.size) for one in videos), AHEAD)

    @torch.inference_mode()
    def encode(self, features: NDArray[np.float16]) -> NDArray[np.float32]:
        """Compute the real values (b,) of a video from the features (D, F) of its frames."""
        chosen = features[uniform_frames(len(features), self.model.frames)]
        batch = torch.from_numpy(chosen[None]).float().to(self.device)
        values: NDArray[np.float32] = self.model.encode(batch)[0].float().cpu().numpy()
        return values


def find_device(name: str) -> torch.device:
    """Find a device by name, or the best one for `auto`. Raises InputError if there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r}: {str(error).splitlines()[0]}") from None
    return device

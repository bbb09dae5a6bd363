"""From a video file to all that a collection keeps of it."""

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from chain.collection.coded import Coded
from chain.collection.decoding import decode
from chain.collection.descriptors import describe
from chain.collection.segmenting import Segmenting
from chain.collection.strip import strip
from chain.features.bank import check_finite
from chain.hasher.hasher import Hasher
from chain.retrieval.codes import pack


class VideoCoder:
    """It codes video files. Several threads may call it: one decodes while another has the CNN."""

    def __init__(self, hasher: Hasher, segmenting: Segmenting) -> None:
        self.hasher, self.segmenting = hasher, segmenting
        self._networks = Lock()

    def __call__(self, path: Path) -> Coded:
        """Code a video. Raises InputError if it can't be read."""
        wanted = self.hasher.about.config.decode
        video = decode(path, wanted.frames, wanted.size, self.segmenting)
        with self._networks:
            features = self._features(video.images, video.whole)
            check_finite(features, str(path))
            spans = self.segmenting.segments(video.duration)
            rows = [video.whole, *(_inside(video.times, span, wanted.frames) for span in spans)]
            values = np.stack([self.hasher.encode(features[chosen]) for chosen in rows])
        return Coded(
            duration=video.duration,
            times=video.times,
            frames=describe(video.images),
            strip=strip(video.images[video.whole]),
            spans=np.concatenate([[[0.0, video.duration]], spans]),
            codes=pack(values),
        )

    def _features(self, images: NDArray[np.uint8], whole: NDArray[np.int64]) -> NDArray[np.float16]:
        """The features (T, F) of frames; the CNN sees as many at a time as a short video has.

        Those at `whole` go first and together, since rounding depends on what shares a batch, and
        so the code of the whole video is the hasher's.
        """
        rest = np.setdiff1d(np.arange(len(images)), whole)
        batches = [whole, *np.split(rest, len(rest) // len(whole))] if len(rest) else [whole]
        found = [self.hasher.extractor(images[batch]) for batch in batches]
        features = np.empty((len(images), found[0].shape[1]), np.float16)
        features[np.concatenate(batches)] = np.concatenate(found)
        return features


def _inside(times: NDArray[np.float32], span: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The frames (count,) nearest to the midpoints of `count` equal parts of a span of time."""
    start, end = span
    wanted = start + (np.arange(count) + 0.5) * (end - start) / count
    right = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    left_is_nearer = wanted - times[right - 1] <= times[right] - wanted
    nearest: NDArray[np.int64] = right - left_is_nearer
    return nearest

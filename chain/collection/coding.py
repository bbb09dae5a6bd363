"""From a video file to all that a collection keeps of it."""

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from chain.collection.coded import Coded
from chain.collection.cuts import cuts
from chain.collection.decoding import Reading
from chain.collection.descriptors import describe
from chain.collection.pictures import shrunk, strip
from chain.collection.segmenting import Segmenting
from chain.features.bank import check_finite
from chain.features.prefetch import prefetch
from chain.hasher.hasher import Hasher
from chain.retrieval.codes import pack

AHEAD = 1  # batches that are decoded while the CNN is at work


class VideoCoder:
    """It codes video files. Several threads may call it: one decodes while another has the CNN."""

    def __init__(self, hasher: Hasher, segmenting: Segmenting) -> None:
        self.hasher, self.segmenting = hasher, segmenting
        self._networks = Lock()

    def __call__(self, path: Path) -> Coded:
        """Code a video. Raises InputError if it can't be read.

        The CNN sees each frame once, and those of the whole code in a batch of their own. Rounding
        depends on what shares a batch, and so the whole code is the hasher's, bit for bit.
        """
        wanted = self.hasher.about.config.decode
        video = Reading(path, wanted.frames, wanted.size, self.segmenting)
        places, features, small = [], [], []
        for batch in prefetch(video, AHEAD):
            with self._networks:
                features.append(self.hasher.extractor(batch.images))
            check_finite(features[-1], str(path))
            places.append(batch.places)
            small.append(shrunk(batch.images))
            if batch.whole:
                whole, thumbnails = batch.places, strip(batch.images)
        order = np.concatenate(places).argsort()
        all_features = np.concatenate(features)[order]
        pictures = np.concatenate(small)[order]
        spans = self.segmenting.segments(video.duration, cuts(pictures, video.times))
        rows = [whole, *(inside(video.times, span, wanted.frames) for span in spans)]
        with self._networks:
            values = np.stack([self.hasher.encode(all_features[chosen]) for chosen in rows])
        return Coded(
            duration=video.duration,
            times=video.times,
            frames=describe(pictures),
            strip=thumbnails,
            spans=np.concatenate([[[0.0, video.duration]], spans]),
            codes=pack(values),
            damaged=video.damaged,
        )


def inside(times: NDArray[np.float32], span: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The frames (count,) nearest to the midpoints of `count` equal parts of a span of time.

    `times` (T,) are those of the frames, and `span` (2,) is the start and the end.
    """
    start, end = span
    wanted = start + (np.arange(count) + 0.5) * (end - start) / count
    right = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    left_is_nearer = wanted - times[right - 1] <= times[right] - wanted
    nearest: NDArray[np.int64] = right - left_is_nearer
    return nearest

"""The scenes of a video: clusters of its frames' features, found by affinity propagation."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from chain.core.params import Parameters
from chain.scenes.affinity_propagation import (
    affinity_propagation,
    frame_similarity,
    median_preference,
)

NO_SCENE = -1
CHUNK = 256  # views clustered at once


class SceneConfig(Parameters):
    """Affinity propagation and the prototype contrast."""

    preference: Annotated[float, Field(gt=0)]
    """Preference as a multiple of the median similarity. A larger one makes fewer scenes."""
    damping: Annotated[float, Field(ge=0.5, lt=1)]
    temperature: Annotated[float, Field(gt=0)]


def cluster_scenes(
    bank: NDArray[np.float16], rows: NDArray[np.int64], config: SceneConfig
) -> NDArray[np.int64]:
    """The scenes (M, V, D) of all frames of the M clips `rows` of a bank (·, V, D, F).

    Each view is clustered on its own. The similarity of two frames is minus their squared distance
    once they are L2-normalised, and the preference is a multiple of the view's median similarity. A
    frame without a scene gets NO_SCENE. The bank is read in chunks.
    """
    views, dense = bank.shape[1:3]
    scenes = np.empty((len(rows), views, dense), dtype=np.int64)
    step = max(1, CHUNK // views)
    for start in tqdm(range(0, len(rows), step), unit="chunk", desc="scenes", leave=False):
        part = slice(start, start + step)
        features = torch.from_numpy(bank[rows[part]]).float().flatten(0, 1)
        similarity = frame_similarity(features)
        found = affinity_propagation(
            similarity, median_preference(similarity, config.preference), config.damping
        )
        scenes[part] = found.view(-1, views, dense).numpy()
    return scenes

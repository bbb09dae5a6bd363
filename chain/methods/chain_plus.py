"""CHAIN+: CHAIN with three additions of ours, none of them in the paper.

| addition | why |
|---|---|
| clean frames as one more view | codes are made from clean frames, so training should see some |
| dropout on the features | a few stored views are otherwise learned by heart |
| a neighbourhood term | keeps the similarities that the CNN's features already hold |

The neighbourhood term compares two cosines for every pair of clips of a batch: that of their codes,
one from the first views and one from the second, and that of their pooled features. It is the mean
squared difference of the two. To pool a clip, its clean features are averaged over each of a few
equal parts of the clip and centred on the training set. `docs/choices.md` has the ablation.
"""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from chain.core.errors import InputError
from chain.losses.neighbourhood import neighbourhood
from chain.methods.base import Weight
from chain.methods.chain import Chain, ChainConfig, TaskWeights
from chain.views.store import FeatureStore, gather

CHUNK = 256  # clips pooled at once


class PlusWeights(TaskWeights):
    """CHAIN's tasks and the neighbourhood term."""

    neighbourhood: Weight


class ChainPlusConfig(ChainConfig):
    """CHAIN's parameters and those of the additions. Dropout is set by `encoder.dropout`."""

    weights: PlusWeights
    clean_view: bool
    parts: Annotated[int, Field(ge=1)]
    """How many equal parts of a clip are pooled one by one. A single part is blind to order."""


class ChainPlus(Chain):
    """CHAIN, the clean view and the neighbourhood term."""

    Config = ChainPlusConfig

    config: ChainPlusConfig

    def fit(self, store: FeatureStore) -> None:
        super().fit(store)
        if self.config.clean_view:
            clean = self._scenes(store.clean[:, None], store.train)
            self.scenes = np.concatenate([self.scenes, clean], axis=1)
        self.pooled = pooled_features(store, self.config.parts)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What CHAIN draws, and the clips' pooled features (B, parts * F)."""
        return (*super().draw(store, rows, random), self.pooled[torch.from_numpy(rows)].float())

    def _features(
        self,
        store: FeatureStore,
        clips: NDArray[np.int64],
        views: NDArray[np.int64],
        frames: NDArray[np.int64],
        random: np.random.Generator,
    ) -> Tensor:
        bank, _ = store.bank(self.spatial)
        clean = views == bank.shape[1]  # the view after the last
        features = super()._features(store, clips, np.where(clean, 0, views), frames, random)
        rows = store.train[clips[clean]]
        features[torch.from_numpy(clean)] = gather(
            store.clean[:, None], rows, np.zeros_like(rows), frames[clean]
        )
        return features

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, scenes, order, pooled = batch
        hidden = self.encoder(features)
        parts = self.tasks(features, hidden, scenes, order)
        if self.config.weights.neighbourhood:
            code1, code2 = self.codes(hidden).chunk(2)
            parts["neighbourhood"] = neighbourhood(code1, code2, pooled)
        return self.weighted(parts)


def pooled_features(store: FeatureStore, parts: int) -> Tensor:
    """Pooled features (M, parts * F), float16, of the training clips.

    The clean features of a clip are averaged over each of its `parts` equal parts, the averages are
    joined, and the mean of all clips is subtracted. InputError if a part would have no frame.
    """
    if parts > store.dense:
        raise InputError(
            f"methods.chain_plus.parts is {parts}, but decode.frames keeps {store.dense} a clip"
        )
    pooled = torch.empty(len(store.train), parts * store.width)
    for start in range(0, len(pooled), CHUNK):
        clips = torch.from_numpy(store.clean[store.train[start : start + CHUNK]]).float()
        means = [part.mean(dim=1) for part in clips.tensor_split(parts, dim=1)]
        pooled[start : start + CHUNK] = torch.cat(means, dim=1)
    pooled -= pooled.mean(dim=0)
    return pooled.half()

"""LSH: random hyperplanes through the centre of mean-pooled features (Charikar, STOC 2002).

It is the floor of every comparison, since nothing is learned but the mean of the training set.
"""

import torch
from torch import Tensor

from chain.methods.base import Method, MethodConfig
from chain.views.store import FeatureStore


class LSHConfig(MethodConfig):
    """LSH has no parameters of its own."""


class LSH(Method):
    """Signs of Gaussian projections of the centred mean feature."""

    Config = LSHConfig

    mean: Tensor
    planes: Tensor

    def __init__(self, config: LSHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.register_buffer("mean", torch.zeros(feature_width))
        self.register_buffer("planes", torch.randn(feature_width, bits))

    def fit(self, store: FeatureStore) -> None:
        """Take the mean of the training clips."""
        total = torch.zeros(store.width, dtype=torch.float64)
        for clips in store.training_chunks(self.frames):
            for pooled in clips.double().mean(dim=1):
                total += pooled
        self.mean.copy_(total / len(store.train))

    def encode(self, features: Tensor) -> Tensor:
        return (features.mean(dim=1) - self.mean) @ self.planes

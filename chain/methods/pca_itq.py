"""PCA-ITQ: principal components, rotated towards the corners of the binary cube.

The method is that of Gong & Lazebnik, "Iterative quantization", CVPR 2011, on mean-pooled frame
features. The paper leaves two signs open. We make the largest entry of a component positive, and
give 0 the sign +1.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.methods.base import Count, Method, MethodConfig
from chain.models.hash_layer import sign
from chain.views.store import FeatureStore


class PCAITQConfig(MethodConfig):
    """How the rotation is found."""

    iterations: Count
    """How often codes and rotation are found in turn. The paper does it 50 times."""


class PCAITQ(Method):
    """Signs of the rotated principal components of the mean feature."""

    Config = PCAITQConfig

    config: PCAITQConfig
    mean: Tensor
    components: Tensor
    rotation: Tensor

    def __init__(self, config: PCAITQConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.register_buffer("mean", torch.zeros(feature_width))
        self.register_buffer("components", torch.zeros(feature_width, bits))
        self.register_buffer("rotation", torch.linalg.qr(torch.randn(bits, bits)).Q)

    def fit(self, store: FeatureStore) -> None:
        """Find mean, components and rotation from the training clips, which are read twice.

        InputError if clips or features are too few for `bits` components.
        """
        clips = len(store.train)
        if store.width < self.bits:
            raise InputError(
                f"bits is {self.bits}, but the features have only {store.width} dimensions; "
                "lower it or take a wider backbone"
            )
        if clips <= self.bits:
            raise InputError(
                f"bits is {self.bits}, but pca_itq needs more training clips than bits and there "
                f"are only {clips}; lower it or add clips"
            )
        total = torch.zeros(store.width, dtype=torch.float64)
        moment = torch.zeros(store.width, store.width, dtype=torch.float64)
        for pooled in self._pooled(store):
            total += pooled.sum(dim=0)
            moment += pooled.T @ pooled
        mean = total / clips
        components = principal_components(moment / clips - torch.outer(mean, mean), self.bits)
        projected = torch.cat([(pooled - mean) @ components for pooled in self._pooled(store)])
        self.mean.copy_(mean)
        self.components.copy_(components)
        self.rotation.copy_(itq(projected, self.rotation.double(), self.config.iterations))

    def encode(self, features: Tensor) -> Tensor:
        return (features.mean(dim=1) - self.mean) @ self.components @ self.rotation

    def _pooled(self, store: FeatureStore) -> Iterator[Tensor]:
        """Mean features (C, F) of the training clips in float64, a chunk of clips at a time."""
        for clips in store.training_chunks(self.frames):
            yield clips.double().mean(dim=1)


def principal_components(covariance: Tensor, count: int) -> Tensor:
    """Unit eigenvectors (F, count) of a covariance (F, F), those of the largest eigenvalues first.

    A solver's signs are arbitrary, so each vector is turned to make its largest entry positive.
    """
    ascending: Tensor = torch.linalg.eigh(covariance).eigenvectors
    vectors = ascending.flip(dims=[1])[:, :count]
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()


def itq(projected: Tensor, rotation: Tensor, iterations: int) -> Tensor:
    """The rotation R (b, b) that brings projected data V (M, b) near to codes B: min ‖B − VR‖².

    It starts from `rotation`. Each iteration takes the best codes for R, B = sign(VR), and then the
    best R for these codes, by orthogonal Procrustes. So the error never grows.
    """
    for _ in range(iterations):
        codes = sign(projected @ rotation)
        left, _, right = torch.linalg.svd(projected.T @ codes)
        rotation = left @ right
    return rotation

"""PCA-RR: principal components of the mean-pooled features, rotated at random, and their signs.

Gong & Lazebnik compare ITQ with it (CVPR 2011). "Hashing-Baseline" (arXiv 2509.14427) shows that it
is a strong floor on features of a frozen network. That paper keeps a query's probabilities, the
sigmoids of its real code, and compares them with the binary codes of the database. Here queries are
binary too, as everywhere in this project.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.methods.base import Method, MethodConfig
from chain.views.store import FeatureStore


class PCARotationConfig(MethodConfig):
    """PCA-RR has no parameters of its own."""


class PCARotation(Method):
    """Signs of the principal components of the mean feature, turned by an orthogonal matrix."""

    Config: ClassVar[type[MethodConfig]] = PCARotationConfig

    parts: ClassVar[int] = 1
    """How many equal parts of a clip are averaged one by one; their mean features are joined."""

    mean: Tensor
    components: Tensor
    rotation: Tensor

    def __init__(self, config: MethodConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.register_buffer("mean", torch.zeros(self.parts * feature_width))
        self.register_buffer("components", torch.zeros(self.parts * feature_width, bits))
        self.register_buffer("rotation", torch.linalg.qr(torch.randn(bits, bits)).Q)

    def fit(self, store: FeatureStore) -> None:
        """Find mean and components; the rotation stays as it was drawn.

        InputError as `find_components` raises it.
        """
        self.find_components(store)

    def find_components(self, store: FeatureStore) -> tuple[Tensor, Tensor]:
        """Set mean and components from the training clips, and return them in float64.

        M clips span M - 1 components. Where `bits` asks for more, those are directions at right
        angles to them, drawn at random as LSH does. InputError if the features are too few.
        """
        clips, width = len(store.train), len(self.mean)
        if width < self.bits:
            raise InputError(
                f"bits is {self.bits}, but the features have only {width} dimensions; "
                "lower it or take a wider backbone"
            )
        count = min(self.bits, clips - 1)
        if clips < width:
            pooled = torch.cat(list(self.training_means(store)))
            mean = pooled.mean(dim=0)
            components = components_of_few(pooled - mean, count)
        else:
            total = torch.zeros(width, dtype=torch.float64)
            moment = torch.zeros(width, width, dtype=torch.float64)
            for pooled in self.training_means(store):
                total += pooled.sum(dim=0)
                moment += pooled.T @ pooled
            mean = total / clips
            covariance = moment / clips - torch.outer(mean, mean)
            components = principal_components(covariance, count)
        components = with_random_directions(components, self.bits)
        self.mean.copy_(mean)
        self.components.copy_(components)
        return mean, components

    def encode(self, features: Tensor) -> Tensor:
        return (self.part_means(features) - self.mean) @ self.components @ self.rotation

    def part_means(self, features: Tensor) -> Tensor:
        """The mean features of the parts of each clip, joined: (B, T, F) -> (B, parts * F)."""
        split = features.tensor_split(self.parts, dim=1)
        return torch.cat([part.mean(dim=1) for part in split], dim=1)

    def training_means(self, store: FeatureStore) -> Iterator[Tensor]:
        """`part_means` of the training clips in float64, a chunk of clips at a time."""
        for clips in store.training_chunks(self.frames):
            yield self.part_means(clips.double())


def principal_components(covariance: Tensor, count: int) -> Tensor:
    """Unit eigenvectors (F, count) of a covariance (F, F), of the largest eigenvalues first."""
    ascending: Tensor = torch.linalg.eigh(covariance).eigenvectors
    return turned(ascending.flip(dims=[1])[:, :count])


def components_of_few(points: Tensor, count: int) -> Tensor:
    """The principal components (F, count) of centred points (N, F), where N is less than F.

    Their covariance has so many eigenvalues of 0 that `principal_components` may fail on it.
    """
    return turned(torch.linalg.svd(points, full_matrices=False).Vh[:count].T)


def turned(vectors: Tensor) -> Tensor:
    """The columns, their largest entries made positive: solvers differ in the sign."""
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()


def with_random_directions(components: Tensor, count: int) -> Tensor:
    """Orthonormal vectors (F, n) followed by random ones, so that (F, count) are orthonormal."""
    missing = count - components.shape[1]
    if not missing:
        return components
    drawn = torch.randn(len(components), missing, dtype=components.dtype)
    drawn -= components @ (components.T @ drawn)
    return torch.cat([components, torch.linalg.qr(drawn).Q], dim=1)

"""PCA-ITQ: principal components, rotated towards the corners of the binary cube.

The method is that of Gong & Lazebnik, "Iterative quantization", CVPR 2011, on mean-pooled frame
features. The paper leaves two signs open. We make the largest entry of a component positive, and
give 0 the sign +1.
"""

import torch
from torch import Tensor

from chain.methods.base import Count, MethodConfig
from chain.methods.pca_rotation import PCARotation
from chain.models.hash_layer import sign
from chain.views.store import FeatureStore


class PCAITQConfig(MethodConfig):
    """How the rotation is found."""

    iterations: Count
    """How often codes and rotation are found in turn. The paper does it 50 times."""


class PCAITQ(PCARotation):
    """PCA-RR with a rotation that is improved from the random one on."""

    Config = PCAITQConfig

    config: PCAITQConfig

    def fit(self, store: FeatureStore) -> None:
        """Find mean, components and rotation from the training clips, which are read twice.

        InputError if the features are too few for `bits` components.
        """
        mean, components = self.find_components(store)
        projected = torch.cat([(means - mean) @ components for means in self.training_means(store)])
        self.rotation.copy_(itq(projected, self.rotation.double(), self.config.iterations))


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

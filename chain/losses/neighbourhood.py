"""The neighbourhood term of CHAIN+, by which codes keep the similarities of the features.

It is ours and not in CHAIN's paper.
"""

import torch.nn.functional as F
from torch import Tensor


def neighbourhood(code1: Tensor, code2: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference between the cosines of codes and those of features.

    Args:
        code1, code2: (B, b) the codes of two views of each video, of any norm but 0.
        features: (B, F) one vector for each video, which gets no gradient.

    Returns:
        () the mean over all B x B pairs of a first and a second view.

    Raises:
        ValueError: the shapes do not agree.
    """
    if code1.ndim != 2 or code1.shape != code2.shape or len(features) != len(code1):
        raise ValueError(
            "codes must be (B, b) both and features (B, F), "
            f"not {tuple(code1.shape)}, {tuple(code2.shape)}, {tuple(features.shape)}"
        )
    codes = F.normalize(code1, dim=1) @ F.normalize(code2, dim=1).T
    unit = F.normalize(features.detach(), dim=1)
    return F.mse_loss(codes, unit @ unit.T)

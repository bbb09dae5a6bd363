"""Scene change regularisation, CHAIN's local spatial task (ACM MM 2023, arXiv 2310.18926).

It is prototypical contrastive learning (PCL: Li et al., ICLR 2021, arXiv 2005.04966) inside one
video. The scenes are the clusters, a frame's own scene is the answer and the video's other scenes
are the negatives. CHAIN's paper does not state how prototypes are formed or differentiated. Ours:

* A prototype is the normalised mean of its scene's unit frames. It is a constant, as in PCL, so
  gradients reach the frames as anchors only.
* A frame is left out of the prototype of its own scene, since it would match itself. The only frame
  of a scene is therefore no anchor, but its prototype is a negative of the others.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def scene_contrast(frames: Tensor, scenes: Tensor, temperature: float) -> Tensor:
    """Cross entropy of each frame's scene, by cosine / temperature to its video's prototypes.

    Args:
        frames: (B, T, D) frame representations, of any norm.
        scenes: (B, T) int64, the number of each frame's scene, from 0. Not all numbers need occur.
            A frame of -1 has no scene and does not count.
        temperature: above 0.

    Returns:
        () the mean over all frames that share their scene with another frame and whose video has
        two scenes or more. If there is no such frame, the loss and its gradient are 0.

    Raises:
        ValueError: the shapes do not agree, or temperature <= 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    members = _members(frames, scenes)  # (B, T, S)
    weights = members.to(frames.dtype)
    unit = F.normalize(frames, dim=2)  # (B, T, D)
    constant = unit.detach()
    sums = weights.mT @ constant  # (B, S, D)
    rest = F.normalize(weights @ sums - constant, dim=2)  # (B, T, D), own scene without the frame
    others = unit @ F.normalize(sums, dim=2).mT  # (B, T, S)
    own = (unit * rest).sum(dim=2, keepdim=True)  # (B, T, 1)

    exists = members.any(dim=1)  # (B, S)
    logits = torch.where(members, own, others) / temperature
    logits = logits.masked_fill(~exists[:, None], -torch.inf)
    shared = (members & (members.sum(dim=1, keepdim=True) > 1)).any(dim=2)  # (B, T)
    anchors = shared & (exists.sum(dim=1, keepdim=True) > 1)
    answers = scenes[anchors]
    return F.cross_entropy(logits[anchors], answers, reduction="sum") / max(len(answers), 1)


def _members(frames: Tensor, scenes: Tensor) -> Tensor:
    """Which frame belongs to which scene, (B, T, S) bool."""
    if frames.ndim != 3 or frames.shape[:2] != scenes.shape:
        raise ValueError(
            f"frames must be (B, T, D) and scenes (B, T), "
            f"not {tuple(frames.shape)}, {tuple(scenes.shape)}"
        )
    count = int(scenes.max().clamp(min=0)) + 1
    return scenes[:, :, None] == torch.arange(count, device=scenes.device)

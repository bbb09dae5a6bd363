"""Training objectives. Each has a file of its own and is a pure function of tensors."""

from chain.losses.debiased import debiased_contrastive
from chain.losses.frame_order import frame_order
from chain.losses.neighbourhood import neighbourhood
from chain.losses.nt_xent import nt_xent
from chain.losses.scene import scene_contrast

__all__ = [
    "debiased_contrastive",
    "frame_order",
    "neighbourhood",
    "nt_xent",
    "scene_contrast",
]

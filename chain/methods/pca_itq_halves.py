"""PCA-ITQ of two halves: the mean features of a clip's first and second half, joined.

It is our own floor, in no paper. Unlike one mean over the whole clip, two means tell a clip from
its reversal. So a method that claims to use the order of the frames has to beat it.
"""

from typing import Annotated

from pydantic import Field

from chain.methods.pca_itq import PCAITQ, PCAITQConfig


class PCAITQHalvesConfig(PCAITQConfig):
    """PCA-ITQ's parameters."""

    frames: Annotated[int, Field(ge=2)]
    """T. Where it is odd, the first half has the frame more."""


class PCAITQHalves(PCAITQ):
    """PCA-ITQ of two mean features instead of one."""

    Config = PCAITQHalvesConfig

    parts = 2

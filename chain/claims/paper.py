"""What the CHAIN paper (ACM MM 2023, arXiv 2310.18926) claims, as data.

Our own comparisons and aims have the same form, and stand in `aims.py`.
"""

from dataclasses import dataclass
from typing import Literal

BITS = 64
K = 20

Kind = Literal["gain", "precision"]
Group = Literal["paper", "comparison", "aim"]


@dataclass(frozen=True)
class Side:
    """A method of the grid, the best float features or, with `ablation`, a variant of CHAIN."""

    name: str
    ablation: str | None = None
    bits: int = BITS


@dataclass(frozen=True)
class Claim:
    """A statement that `ours` is ahead of each of `theirs`.

    The kind "gain" compares mAP@20, and "precision" compares precision at equal recall. A claim
    without `dataset` is put to every data set at hand. `figure` is the relative gain that the paper
    states, or that an aim of ours asks for. An aim may ask for another one on the demo.
    """

    text: str
    ours: Side
    theirs: tuple[Side, ...]
    kind: Kind = "gain"
    dataset: str | None = None
    figure: float | None = None
    on_demo: float | None = None
    group: Group = "paper"

    def asked(self, dataset: str) -> float | None:
        """The figure that belongs to a data set."""
        return self.figure if dataset != "demo" or self.on_demo is None else self.on_demo


CHAIN, CONMH = Side("chain"), Side("conmh")
FIGURES = {"fcvid": 0.214, "ucf101": 0.109, "activitynet": 0.375, "hmdb51": 0.105}

CLAIMS = (
    *(
        Claim("mAP@20 over ConMH", CHAIN, (CONMH,), dataset=dataset, figure=figure)
        for dataset, figure in FIGURES.items()
    ),
    Claim("mAP@20: ahead of ConMH", CHAIN, (CONMH,)),
    Claim("Precision at equal recall: ahead of ConMH", CHAIN, (CONMH,), kind="precision"),
    Claim(
        "Three tasks together: better than any two",
        CHAIN,
        tuple(
            Side(pair, "tasks")
            for pair in ("contrastive_order", "contrastive_scene", "order_scene")
        ),
    ),
    Claim("Segment sampling: better than random", CHAIN, (Side("random", "sampling"),)),
    Claim("Segment sampling: better than consecutive", CHAIN, (Side("consecutive", "sampling"),)),
    Claim("Consistent augmentation: better than per frame", CHAIN, (Side("per_frame", "spatial"),)),
)

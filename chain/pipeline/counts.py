"""Whether a data set, once it is indexed, has enough clips for what the parameters ask."""

from chain.core.errors import InputError
from chain.methods.base import MethodConfig

FEW = 200
"""Training clips below which a method without training is the better choice on real clips, as
measured on parts of jhmdb12 (docs/choices.md)."""
ADVICE = (
    "with fewer than {} training clips, pca_itq_halves, which learns nothing, is a safer choice "
    "than chain (docs/choices.md, small sets)"
)


def least_clips(config: MethodConfig) -> dict[str, tuple[int, int]]:
    """Each parameter that needs training clips: its value, and how many clips it needs at least."""
    needs = {}
    if config.training:
        needs["training.batch"] = (config.training.batch, config.training.batch)
    for name in ("clusters", "anchors", "prototypes"):
        value = getattr(config, name, None)
        if value is not None:
            value = value if isinstance(value, int) else max(value)
            needs[name] = (value, value + 1)
    return needs


def check_counts(config: MethodConfig, clips: int, place: str) -> None:
    """Raise InputError if `clips` training clips are too few for a method's parameters.

    `place` says where the parameters stand, such as `methods.chain`.
    """
    for name, (value, least) in least_clips(config).items():
        if clips < least:
            raise InputError(
                f"{place}.{name} is {value}, which needs {least} training clips, but there are "
                f"{clips}; lower it or add clips"
            )


def advice(clips: int) -> str | None:
    """What to say where the training clips are so few that learning does not pay."""
    return ADVICE.format(FEW) if clips < FEW else None

"""The choice of an engine, by `runtime.engine`: what computes the clips of a stage.

An engine only computes; the stage writes the results.
"""

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from chain.core.errors import InputError

if TYPE_CHECKING:
    from chain.features.bank import Compute
    from chain.video.pack import Decode

Engine = Literal["threads", "ray"]

# torch, PyAV and Ray take seconds to load, so each is imported only where it is chosen.


def for_decoding(runtime: Mapping[str, Any]) -> "Decode":
    """The engine that `pack_frames` decodes with.

    Raises InputError if there is no such engine or it is not installed.
    """
    if _is_ray(runtime):
        from chain.engines.ray_data import decode

        return decode
    from chain.video.pack import on_threads

    return on_threads


def for_features(runtime: Mapping[str, Any]) -> "Compute":
    """The engine that `extract` computes features with.

    Raises InputError if there is no such engine or it is not installed.
    """
    if _is_ray(runtime):
        from chain.engines.ray_data import features

        return partial(features, runtime["workers"])
    from chain.features.bank import clip_features

    return clip_features


def _is_ray(runtime: Mapping[str, Any]) -> bool:
    engine = runtime["engine"]
    if engine not in get_args(Engine):
        known = " or ".join(get_args(Engine))
        raise InputError(f"params.yaml: runtime.engine: expected {known}, not {engine!r}")
    if engine == "ray" and not (find_spec("ray") and find_spec("pyarrow")):
        raise InputError(
            "runtime.engine: ray is not installed: pip install -r requirements-scale.txt"
        )
    return bool(engine == "ray")

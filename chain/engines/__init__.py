"""What computes a stage's clips: threads of this process, or Ray on one machine or many.

`chain.video.engine` and `chain.features.engine` offer both kinds. The stage alone writes.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, get_args

from chain.core.errors import InputError
from chain.core.runtime import Engine


def uses_ray(runtime: Mapping[str, Any]) -> bool:
    """Whether `runtime.engine` asks for Ray.

    Raises InputError if there is no such engine or it is not installed.
    """
    engine = runtime["engine"]
    if engine not in get_args(Engine):
        known = " or ".join(get_args(Engine))
        raise InputError(f"params.yaml: runtime.engine: expected {known}, not {engine!r}")
    if engine == "ray" and not (find_spec("ray") and find_spec("pyarrow")):
        raise InputError(
            "runtime.engine: ray is not installed: pip install -r requirements-scale.txt"
        )
    return bool(engine == "ray")

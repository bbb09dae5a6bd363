"""The committed parameters with changes, checked."""

from collections.abc import Mapping
from typing import Any

from parameter_files import EXPERIMENT, profile

from chain.core import params
from chain.pipeline.schema import Checked

Tree = Mapping[str, Any]


def checked(
    change: Tree | None = None, profiles: Mapping[str, Tree] | None = None, **new: Tree
) -> Checked:
    """`change` is of `params.yaml`, `profiles` are changes of committed ones, `new` are whole."""
    changes = profiles or {}

    def load(name: str) -> dict[str, Any]:
        return (
            dict(new[name]) if name in new else params.merge(profile(name), changes.get(name, {}))
        )

    return Checked(params.merge(EXPERIMENT, change or {}), load)

"""A method's parameters on a data set, merged from the layers in which they are written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chain.core.errors import InputError
from chain.core.params import PARAMS, leaves, merge
from chain.methods import METHODS, method_class, method_config
from chain.methods.base import MethodConfig
from chain.pipeline.fit import FIT, KEYS, PHASES

ALL = "all"
"""The block whose values hold for every method that has such parameters."""
NEVER_VALID = ("extra_forbidden", "literal_error", "_type")
"""Endings of pydantic's error types: a key or value at such a fault is valid on no data set."""


@dataclass(frozen=True)
class Layer:
    """A part of a method's parameters, and where it is written."""

    tree: Mapping[str, Any]
    key: str
    file: Path = PARAMS


@dataclass(frozen=True)
class Layers:
    """The blocks `methods` of `params.yaml` and of a data set's profile.

    A later layer overrides an earlier one: `all` and the method's block of `params.yaml`, `all` and
    the method's block of the profile, and at last what an ablation changes. Where the last layer
    that sets a size says `fit` (`chain/pipeline/fit.py`), `config` has the published number from
    the layers below, and `fits` names the key.
    """

    published: Mapping[str, Mapping[str, Any]]
    profile: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile_file: Path = PARAMS

    def check(self) -> None:
        """Check all blocks, also of methods that the run does not use.

        InputError if a block belongs to no method, if no method has a key of `all`, or if the block
        of a method does not pass `check_unused`.
        """
        for layer in (Layer(self.published, "methods"), self._profile()):
            for name in layer.tree:
                if name not in (ALL, *METHODS):
                    known = ", ".join([ALL, *METHODS])
                    raise InputError(
                        f"{layer.file}: {layer.key}: {name!r} is no method (there: {known})"
                    )
            shared = layer.tree.get(ALL, {})
            known_keys = set().union(
                *(leaves(applicable(shared, method_class(name).Config)) for name in METHODS)
            )
            for key in leaves(shared):
                if key not in known_keys:
                    raise InputError(
                        f"{layer.file}: {layer.key}.{ALL}.{key}: no method has this parameter"
                    )
        for name in METHODS:
            if name in self.published:
                self.check_unused(name)

    def check_unused(self, method: str, change: Layer | None = None) -> None:
        """InputError for a key or value that the method could have on no data set.

        The run does not use these parameters, so what this data set alone forbids is no fault.
        """
        try:
            self._validated(method, change)
        except ValidationError as error:
            if error.errors()[0]["type"].endswith(NEVER_VALID):
                self.config(method, change)

    def config(self, method: str, change: Layer | None = None) -> MethodConfig:
        """The merged parameters.

        An InputError names the last layer that sets the parameter at fault. What is set nowhere is
        missing in the method's block of `params.yaml`.
        """
        if method not in self.published:
            raise InputError(f"{PARAMS}: methods: no block {method!r} ({{}} will do)")
        try:
            return self._validated(method, change)
        except ValidationError as error:
            keys = error.errors()[0]["loc"]
        layers = self._all(method, change)
        tree = self._merged(method, change)
        at_fault = next((layer for layer in reversed(layers) if _sets(layer.tree, keys)), layers[1])
        return method_config(method, tree, key=at_fault.key, file=at_fault.file)  # raises it

    def fits(self, method: str, change: Layer | None = None) -> list[str]:
        """The dotted keys of the sizes that follow the number of training clips, sorted."""
        tree = leaves(merge(*(layer.tree for layer in self._of(method, change))))
        return sorted(key for key, value in tree.items() if value == FIT)

    def _merged(self, method: str, change: Layer | None) -> dict[str, Any]:
        """The merged parameters. A phase that says `fit` has its published share of the epochs."""
        trees = [layer.tree for layer in self._all(method, change)]
        tree, published = merge(*trees), merge(*trees[:2])
        now, before = (leaves(one).get("training.epochs") for one in (tree, published))
        for phase in PHASES & set(self.fits(method, change)) & tree.keys():
            if isinstance(now, int) and isinstance(before, int) and isinstance(tree[phase], int):
                tree[phase] = tree[phase] * now // max(before, 1)
        return tree

    def _validated(self, method: str, change: Layer | None) -> MethodConfig:
        return method_class(method).Config.model_validate(self._merged(method, change))

    def _all(self, method: str, change: Layer | None) -> list[Layer]:
        """The layers of a method without the keys that say `fit`. Raises as `_numbers` does."""
        schema = method_class(method).Config
        return [_numbers(layer, schema) for layer in self._of(method, change)]

    def _profile(self) -> Layer:
        return Layer(self.profile, "methods", self.profile_file)

    def _of(self, method: str, change: Layer | None) -> Iterator[Layer]:
        """The layers of a method as they are written, the lowest first."""
        schema = method_class(method).Config
        for block in (Layer(self.published, "methods"), self._profile()):
            shared = applicable(block.tree.get(ALL, {}), schema)
            yield Layer(shared, f"{block.key}.{ALL}", block.file)
            yield Layer(block.tree.get(method, {}), f"{block.key}.{method}", block.file)
        if change:
            yield change


def _numbers(layer: Layer, schema: type[BaseModel]) -> Layer:
    """The layer without the keys that say `fit`. InputError if a key says so that must not."""
    known = KEYS & leaves(applicable(layer.tree, schema)).keys()
    for key, value in leaves(layer.tree).items():
        if value == FIT and key not in known:
            raise InputError(
                f"{layer.file}: {layer.key}.{key}: {FIT!r} is only for sizes of the method that "
                f"follow the number of training clips ({', '.join(sorted(KEYS))})"
            )
    return Layer(_without_fit(layer.tree), layer.key, layer.file)


def _without_fit(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_fit(value) if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if value != FIT
    }


def applicable(tree: Mapping[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """Those parameters of a block `all` that the method with this schema has."""
    chosen: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in schema.model_fields:
            continue
        inner = schema.model_fields[key].annotation
        if not isinstance(value, Mapping):
            chosen[key] = value
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            chosen[key] = applicable(value, inner)
    return chosen


def _sets(tree: Any, keys: Sequence[str | int]) -> bool:
    """Whether `tree` sets the parameter at `keys`, or something above or below it."""
    for key in keys:
        if not isinstance(tree, Mapping):
            return True
        if key not in tree:
            return False
        tree = tree[key]
    return bool(keys or tree)

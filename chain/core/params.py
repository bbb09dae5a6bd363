"""Reading `params.yaml`: YAML 1.2 scalars, strict schemas, one-line errors.

DVC writes YAML 1.2 and PyYAML reads 1.1, where `1e-05` is a string and `no` is false; the loader
here resolves scalars as YAML 1.2 does, so that what DVC wrote is what a stage reads.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from chain.core.errors import InputError


class Parameters(BaseModel):
    """Base of every schema: unknown keys and silent type conversions are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Yaml12Loader(yaml.SafeLoader):
    """`yaml.SafeLoader` with the implicit types of YAML 1.2's core schema."""


Yaml12Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    Yaml12Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def load(path: Path) -> dict[str, Any]:
    """The whole tree of a YAML 1.2 file; InputError if it is missing or not a mapping."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=Yaml12Loader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a mapping of parameters")
    return tree


def select(tree: Mapping[str, Any], keys: Sequence[str], file: str) -> dict[str, Any]:
    """The values at dotted `keys`; InputError naming the first key that is missing."""
    chosen = {}
    for key in keys:
        value: Any = tree
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise InputError(f"{file}: {key}: no such parameter")
            value = value[part]
        chosen[key] = value
    return chosen


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings merged left to right: a later leaf replaces an earlier one."""
    merged: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = merge(merged[key], value)
            else:
                merged[key] = deepcopy(value)
    return merged


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inside = isinstance(value, Mapping)
        found |= leaves(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return found


P = TypeVar("P", bound=BaseModel)


def parse(schema: type[P], value: Any, name: str, file: str = "params.yaml") -> P:
    """`value` checked against `schema`; InputError with one line naming the first bad key."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(filter(None, [name, *map(str, first["loc"])]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(schema.model_fields)
            detail = "unknown parameter" + (f"; known: {known}" if len(first["loc"]) == 1 else "")
        elif first["type"] == "missing":
            detail = "missing"
        else:
            message = first["msg"].removeprefix("Value error, ")
            detail = f"{message[0].lower()}{message[1:]}"
            if not isinstance(first["input"], Mapping | list):
                detail += f" (it is {first['input']!r})"
        raise InputError(f"{file}: {key}: {detail}") from None

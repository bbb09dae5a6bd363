"""Reading parameter files: YAML as DVC reads it, strict schemas, errors of one line.

DVC reads `params.yaml` with ruamel.yaml, which follows YAML 1.2: `1e-05` is a number and `no` is a
word. The stages read it with the same parser, so both always see the same values.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from chain.core.errors import InputError

PARAMS = Path("params.yaml")


def profile_path(dataset: str) -> Path:
    """The file that holds a data set's profile."""
    return Path("params", f"{dataset}.yaml")


class Parameters(BaseModel):
    """Base of every schema: unknown keys and silent type conversions are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that NumPy, torch and scikit-learn all take."""


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file as DVC reads it; returns its whole tree.

    Raises InputError if the file is missing, is not valid YAML, gives a key twice, or holds
    anything but a mapping. Dates and other types that no parameter has are left for the schemas to
    refuse.
    """
    try:
        tree = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{path}: {reason}") from None
    except (YAMLError, ValueError, KeyError) as error:  # the last two: `2023-13-45`, `!!bool x`
        raise InputError(f"{path}: not valid YAML: {_problem(error)}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a mapping of parameters")
    return tree


def _problem(error: Exception) -> str:
    """Say what is wrong and, if the parser knows it, in which line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        problem = str(error.problem).partition(" with value")[0]  # of a key that is given twice
        return f"line {error.problem_mark.line + 1}: {problem}"
    return " ".join(str(error).split())


def select(tree: Mapping[str, Any], keys: Sequence[str], file: str | Path) -> dict[str, Any]:
    """Return the values at dotted `keys` of the tree that `file` holds, in their order.

    Raises InputError naming the file and the first key that is missing.
    """
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
    """Merge nested mappings from left to right; a later value replaces an earlier one."""
    merged: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = merge(merged[key], value)
            else:
                merged[key] = deepcopy(value)
    return merged


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inside = isinstance(value, Mapping)
        found |= leaves(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return found


P = TypeVar("P", bound=BaseModel)


def parse(schema: type[P], value: Any, name: str, file: str | Path = "params.yaml") -> P:
    """Check `value`, which stands at key `name` of `file`, against `schema`.

    Raises InputError with one line that names the file and the first bad key.
    """
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

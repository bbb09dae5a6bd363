"""Parameter files that were changed at random: they are sound, or one line says what is wrong."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from checking import Tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parameter_files import EXPERIMENT, ROOT, profile

from chain.core import params
from chain.core.errors import InputError
from chain.pipeline.schema import Checked

DATASETS = ["demo", "clips", "fcvid_features"]
TREES: dict[str, Tree] = {"params.yaml": EXPERIMENT} | {name: profile(name) for name in DATASETS}
SEEDED: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys to every value of a tree, a leaf or not."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


PLACES = [(file, place) for file, tree in TREES.items() for place in places(tree)]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 2**31, 2**32, 2**63, 2**64, 10**40]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", ".", "..", "../x", "a;b", "a|b", "a b", "a\nb", "null", "chain", "demo"]),
    st.dates(),
    st.binary(max_size=4),
)
KEYS = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.booleans(), st.just("all"))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)

CHANGES = st.tuples(st.sampled_from(PLACES), st.sampled_from("=-+"), VALUES)


def check(trees: dict[str, Tree]) -> None:
    """Nothing but an InputError of one line may come out of the check."""
    for dataset in DATASETS:
        try:
            tree = trees["params.yaml"]
            if isinstance(tree, dict) and tree.get("datasets") == ["demo"]:
                tree = tree | {"datasets": [dataset]}
            Checked(tree, lambda name: trees.get(name, {}))
        except InputError as error:
            assert str(error) and "\n" not in str(error)


@settings(max_examples=200, **SEEDED)
@given(st.lists(CHANGES, min_size=1, max_size=2), KEYS)
def test_changed_values(changes: list[Any], new: Any) -> None:
    trees: dict[str, Any] = deepcopy(TREES)  # type: ignore[arg-type]
    for (file, place), way, value in changes:
        *parents, last = place
        inside = trees[file]
        try:
            for key in parents:
                inside = inside[key]
            if way == "=":
                inside[last] = value
            elif way == "-":
                del inside[last]
            elif isinstance(inside, dict):
                inside[new] = value
        except (KeyError, IndexError, TypeError):  # an earlier change took it away
            continue
    check(trees)


@settings(max_examples=100, **SEEDED)
@given(
    st.sampled_from(sorted(TREES)),
    st.integers(0, 10_000),
    st.sampled_from([b"", b"\x00", b"\xff", b"&a [*a]", b"{", b"- ", b"\n", b": ", b"!!x ", b"*b"]),
    st.integers(0, 40),
)
def test_changed_bytes(
    tmp_path_factory: pytest.TempPathFactory, file: str, start: int, new: bytes, cut: int
) -> None:
    source = ROOT / ("params.yaml" if file == "params.yaml" else params.profile_path(file))
    text = source.read_bytes()
    start %= len(text)
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_bytes(text[:start] + new + text[start + cut :])
    try:
        trees = dict(TREES) | {file: params.load(path)}
    except InputError as error:
        assert str(error) and "\n" not in str(error)
    else:
        check(trees)

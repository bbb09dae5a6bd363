from datetime import date
from pathlib import Path
from typing import Annotated

import pytest
from dvc.utils.serialize import load_yaml, modify_yaml
from pydantic import Field, field_validator

from chain.core.errors import InputError
from chain.core.params import Parameters, leaves, load, merge, parse, select


class Inner(Parameters):
    rate: Annotated[float, Field(gt=0)]
    names: list[int]


class Outer(Parameters):
    count: int
    inner: Inner
    word: str = "even"

    @field_validator("word")
    @classmethod
    def _is_even(cls, word: str) -> str:
        if len(word) % 2:
            raise ValueError("Expected an even word")
        return word


SOUND = {"count": 2, "inner": {"rate": 0.5, "names": [1]}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),
        ("1e5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5E+3", -2500.0),
        ("-.inf", float("-inf")),
        ("010", 10),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("n", "n"),
        ("1_000", 1000),
        ("1:30", "1:30"),
        ("2023-10-29", date(2023, 10, 29)),
        ("'1'", "1"),
        (".", "."),
        ("0b1", 1),
        ("1.2.3", "1.2.3"),
        ("nullable", "nullable"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"key: {text}\n")
    read = load(file)["key"]
    assert type(read) is type(value) and read == value
    assert load(file) == load_yaml(str(file))


@pytest.mark.parametrize(
    "value", [1e-05, 1e20, 0.1, -3, True, None, "no", "1e-05", "null", "", "é: x", [1, "on"], []]
)
def test_what_dvc_writes_is_read_back(tmp_path: Path, value: object) -> None:
    """As `dvc exp run -S key=value` does: it changes one value and leaves comments alone."""
    file = tmp_path / "params.yaml"
    file.write_text("# a comment\nkey: 1\nother: {a: 2}\n")
    with modify_yaml(str(file)) as tree:
        tree["key"] = value
    read = load(file)
    assert read == {"key": value, "other": {"a": 2}} and type(read["key"]) is type(value)
    assert file.read_text().startswith("# a comment\n")


@pytest.mark.parametrize("text", ["2023-10-29", "2023-10-29t12:00:00", "!!binary aGk=", ".nan"])
def test_a_type_that_no_parameter_has_is_refused_by_the_schema(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"count: 2\ninner:\n  rate: {text}\n  names: []\n")
    with pytest.raises(InputError, match=r"^params.yaml: inner.rate: ") as caught:
        parse(Outer, load(file), "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 'line 3: found duplicate key "a"'),
        ("a:\n  b: 1\n  b: {c: 1}\n", 'line 3: found duplicate key "b"'),
        ("a: [1,\nb: 2", "line 3: did not find expected ',' or ']'"),
    ],
)
def test_an_error_of_the_parser_names_file_line_and_key(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: not valid YAML: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1,\nb: 2", "not valid YAML"),
        (b"- 1\n- 2\n", "expected a mapping"),
        (b"", "expected a mapping"),
        (b"a: !!python/object:os.system x", "not valid YAML"),
        (b"a: \xff\xfe", "not valid YAML"),
        (b"a: 2023-13-45", "not valid YAML"),
        (b"a: !!bool x", "not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML"),
        (None, "no such file"),
    ],
)
def test_bad_file_is_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "params.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_select_gives_the_values_at_dotted_keys_in_order() -> None:
    tree = {"a": {"b": {"c": 1}}, "d": None}
    assert list(select(tree, ["d", "a.b", "a.b.c"], "params.yaml").items()) == [
        ("d", None),
        ("a.b", {"c": 1}),
        ("a.b.c", 1),
    ]


@pytest.mark.parametrize("key", ["x", "a.x", "a.b.c", "d.e"])
def test_select_names_the_missing_key(key: str) -> None:
    with pytest.raises(InputError, match=f"^demo.yaml: {key}: no such parameter$"):
        select({"a": {"b": 1}, "d": None}, ["a.b", key], Path("demo.yaml"))


def test_merge_overrides_leaves_and_keeps_the_rest() -> None:
    first = {"frames": 25, "encoder": {"width": 256, "depth": 12}, "list": [1, 2]}
    second = {"encoder": {"depth": 1}, "list": [3]}
    third = {"frames": 8, "encoder": {"heads": 6}}
    assert merge(first, second, third) == {
        "frames": 8,
        "encoder": {"width": 256, "depth": 1, "heads": 6},
        "list": [3],
    }
    assert merge() == {}
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_merge_shares_nothing_with_its_arguments() -> None:
    first = {"a": {"b": [1]}}
    second = {"c": {"d": [2]}}
    merged = merge(first, second)
    merged["a"]["b"].append(0)
    merged["c"]["d"].append(0)
    assert first == {"a": {"b": [1]}} and second == {"c": {"d": [2]}}


def test_leaves_are_the_values_by_dotted_key() -> None:
    tree = {"frames": 8, "encoder": {"size": {"width": 128}, "depth": 1}, "names": [{"a": 1}]}
    assert list(leaves(tree).items()) == [
        ("frames", 8),
        ("encoder.size.width", 128),
        ("encoder.depth", 1),
        ("names", [{"a": 1}]),
    ]
    assert leaves({}) == leaves({"a": {"b": {}}}) == {}
    assert leaves({"a": None, "b": {"c": 0}}) == {"a": None, "b.c": 0}


def test_select_finds_every_leaf() -> None:
    tree = {"a": {"b": {"c": 1}, "d": "x"}, "e": None}
    found = leaves(tree)
    assert select(tree, list(found), "params.yaml") == found


def test_leaves_of_a_merge_are_those_of_both() -> None:
    """As tables of ablations read them: the defaults, then what a variant changes."""
    first = {"frames": 25, "encoder": {"width": 256, "depth": 12}}
    second = {"encoder": {"depth": 1}, "weights": {"order": 0.0}}
    assert leaves(merge(first, second)) == leaves(first) | leaves(second)


def test_sound_parameters_are_parsed() -> None:
    parsed = parse(Outer, SOUND, "top")
    assert parsed == Outer(count=2, inner=Inner(rate=0.5, names=[1]))
    assert parse(Inner, {"rate": 1, "names": []}, "").rate == 1.0  # YAML writes 1.0 as 1 at times


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "params.yaml: top.extra: unknown parameter; known: count, inner, word"),
        ({"inner": {"rate": 1.0, "names": [], "x": 1}}, "params.yaml: top.inner.x: unknown"),
        ({"inner": {"rate": 1.0}}, "params.yaml: top.inner.names: missing"),
        ({"count": "2"}, r"top.count: .*valid integer \(it is '2'\)"),
        ({"count": 2.0}, r"top.count: .*valid integer \(it is 2.0\)"),
        ({"count": True}, r"top.count: .*valid integer \(it is True\)"),
        ({"inner": {"rate": "1e-05", "names": []}}, r"top.inner.rate: .*number \(it is '1e-05'\)"),
        ({"inner": {"rate": 0.0, "names": []}}, r"top.inner.rate: .*greater than 0 \(it is 0.0\)"),
        ({"inner": {"rate": float("nan"), "names": []}}, "top.inner.rate: .*finite"),
        ({"inner": {"rate": float("inf"), "names": []}}, "top.inner.rate: .*finite"),
        ({"inner": {"rate": 1.0, "names": [1, "b"]}}, r"top.inner.names.1: .*it is 'b'"),
        ({"inner": None}, r"top.inner: .*it is None"),
        ({"word": "odd"}, r"top.word: expected an even word \(it is 'odd'\)"),
        ({"word": "a\nb"}, r"top.word: expected an even word \(it is 'a\\nb'\)"),
        ({"inner": ["a long list", "is not shown"]}, "top.inner: [^(]*$"),
        ({7: 1}, "params.yaml: top.7: .*string"),
    ],
)
def test_one_line_names_the_parameter_at_fault(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(Outer, SOUND | change, "top")
    assert "\n" not in str(caught.value)


def test_without_a_prefix_the_key_stands_alone() -> None:
    with pytest.raises(InputError, match=r"^params.yaml: inner.rate: missing$"):
        parse(Outer, {"count": 1, "inner": {"names": []}}, "")


def test_an_error_names_the_file_that_holds_the_parameters() -> None:
    with pytest.raises(InputError, match=r"^params/demo.yaml: top.inner: missing$"):
        parse(Outer, {"count": 1}, "top", file=Path("params/demo.yaml"))


def test_parameters_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(Outer, SOUND, "").count = 3  # type: ignore[misc]

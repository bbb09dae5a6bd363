"""Recipes: what was written is read, and what is no recipe is refused."""

import json
from pathlib import Path

import pytest
from checking import checked

from chain.core.errors import InputError
from chain.methods import METHODS
from chain.pipeline.recipes import UNCHANGED, read_recipe, write_recipe

CODE = {"chain/methods/x.py": "0123456789abcdef"}


@pytest.mark.parametrize("method", METHODS)
def test_a_training_s_recipe_is_read_as_it_was_written(tmp_path: Path, method: str) -> None:
    config = checked().config("demo", method)
    write_recipe(tmp_path / "new" / "r.json", method, {UNCHANGED: config}, CODE)
    found = read_recipe(tmp_path / "new" / "r.json")
    assert (found.method, found.code) == (method, CODE)
    assert found.configs() == {UNCHANGED: config}
    assert type(found.configs()[UNCHANGED]) is type(config)


def test_a_table_s_recipe_keeps_its_variants_in_order(tmp_path: Path) -> None:
    method, configs = checked().variants("demo", "strength")
    write_recipe(tmp_path / "r.json", method, configs, {})
    assert list(read_recipe(tmp_path / "r.json").configs().items()) == list(configs.items())
    assert list(configs) == ["weak", "strong"]


def test_a_recipe_of_no_variants(tmp_path: Path) -> None:
    write_recipe(tmp_path / "r.json", "chain", {}, CODE)
    assert read_recipe(tmp_path / "r.json").configs() == {}


def test_equal_recipes_have_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        config = checked().config("demo", "chain")
        write_recipe(tmp_path / f"{name}.json", "chain", {UNCHANGED: config}, CODE)
    first = (tmp_path / "a.json").read_bytes()
    assert first == (tmp_path / "b.json").read_bytes()
    other = checked({"methods": {"chain": {"temperature": 0.6}}}).config("demo", "chain")
    write_recipe(tmp_path / "b.json", "chain", {UNCHANGED: other}, CODE)
    assert first != (tmp_path / "b.json").read_bytes()


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"r\.json: no such file; run `dvc repro check`$"):
        read_recipe(tmp_path / "r.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00",
        json.dumps({"method": "chain", "variants": {}}),
        json.dumps({"method": "chain", "variants": [], "code": {}}),
        json.dumps({"method": "chain", "variants": {}, "code": {}, "more": 1}),
        json.dumps({"method": 1, "variants": {}, "code": {}}),
    ],
)
def test_a_damaged_recipe(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=r"r\.json: not a recipe, .*; run `dvc repro check`$"):
        read_recipe(tmp_path / "r.json")


def test_a_recipe_that_was_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_recipe(path, "lsh", {UNCHANGED: checked().config("demo", "lsh")}, CODE)
    whole = path.read_text().rstrip()
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(InputError, match="not a recipe"):
            read_recipe(path)

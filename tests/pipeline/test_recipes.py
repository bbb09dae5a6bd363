"""Recipes: what was written is read, and what is no recipe is refused."""

import json
from pathlib import Path

import pytest
from checking import checked

from chain.core.errors import InputError
from chain.methods import METHODS
from chain.pipeline.recipes import UNCHANGED, Recipe, read_recipe, write_recipe

CODE = {"chain/methods/x.py": "0123456789abcdef"}


@pytest.mark.parametrize("method", METHODS)
def test_a_training_s_recipe_is_read_as_it_was_written(tmp_path: Path, method: str) -> None:
    config = checked().config("demo", method)
    write_recipe(tmp_path / "new" / "r.json", method, {UNCHANGED: config}, CODE, {})
    found = read_recipe(tmp_path / "new" / "r.json")
    assert (found.method, found.code) == (method, CODE)
    assert found.configs(9) == {UNCHANGED: config}
    assert type(found.configs(9)[UNCHANGED]) is type(config)


def test_a_table_s_recipe_keeps_its_variants_in_order(tmp_path: Path) -> None:
    method, configs = checked().variants("demo", "strength")
    write_recipe(tmp_path / "r.json", method, configs, {}, {})
    assert list(read_recipe(tmp_path / "r.json").configs(9).items()) == list(configs.items())
    assert list(configs) == ["weak", "strong"]


def test_a_recipe_of_no_variants(tmp_path: Path) -> None:
    write_recipe(tmp_path / "r.json", "chain", {}, CODE, {})
    assert read_recipe(tmp_path / "r.json").configs(9) == {}


def test_what_follows_the_number_of_clips_is_kept_as_a_rule(tmp_path: Path) -> None:
    config = checked().config("demo", "chain")
    fits = {UNCHANGED: ["training.batch", "training.epochs"], "left out": ["encoder.width"]}
    write_recipe(tmp_path / "r.json", "chain", {UNCHANGED: config}, CODE, fits)
    recipe = read_recipe(tmp_path / "r.json")
    assert recipe.fit == {UNCHANGED: fits[UNCHANGED]}
    found = recipe.configs(30)[UNCHANGED]
    assert found.training and (found.training.batch, found.training.epochs) == (16, 180)
    assert recipe.fitted_sizes(30) == [
        "chain (default), fit to 30 training clips: training.batch 16, training.epochs 180"
    ]
    assert recipe.configs(10_000) == {UNCHANGED: config}


def test_a_size_that_does_not_go_with_what_is_stated(tmp_path: Path) -> None:
    config = checked().config("demo", "bth")
    recipe = Recipe(
        method="bth",
        variants={UNCHANGED: config.model_dump(mode="json") | {"pretrain_epochs": 200}},
        code={},
        fit={UNCHANGED: ["training.epochs"]},
    )
    message = r"methods\.bth: .*pretrain_epochs 200 leaves none of 180 training\.epochs"
    with pytest.raises(InputError, match=message):
        recipe.configs(600)


def test_a_recipe_without_such_a_rule_does_not_mention_it(tmp_path: Path) -> None:
    config = checked().config("demo", "chain")
    write_recipe(tmp_path / "r.json", "chain", {UNCHANGED: config}, CODE, {UNCHANGED: []})
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"method", "variants", "code"}


def test_equal_recipes_have_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        config = checked().config("demo", "chain")
        write_recipe(tmp_path / f"{name}.json", "chain", {UNCHANGED: config}, CODE, {})
    first = (tmp_path / "a.json").read_bytes()
    assert first == (tmp_path / "b.json").read_bytes()
    other = checked({"methods": {"chain": {"temperature": 0.6}}}).config("demo", "chain")
    write_recipe(tmp_path / "b.json", "chain", {UNCHANGED: other}, CODE, {})
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
    write_recipe(path, "lsh", {UNCHANGED: checked().config("demo", "lsh")}, CODE, {})
    whole = path.read_text().rstrip()
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(InputError, match="not a recipe"):
            read_recipe(path)

"""Recipes: what a training is made of, its parameters and its code, in one small file each.

A recipe is a dependency of the trainings that follow it. So DVC trains anew what is concerned by a
change of `params.yaml`, of a data set's profile or of a method's code, and nothing else.
"""

from collections.abc import Mapping
from pathlib import Path

from chain.core.errors import reading
from chain.core.files import write_json
from chain.core.params import Parameters
from chain.methods import method_class
from chain.methods.base import MethodConfig

UNCHANGED = "default"
"""What tables call the method without a change."""


class Recipe(Parameters):
    """A method, with the parameters of one or of several variants."""

    method: str
    variants: dict[str, dict[str, object]]
    """Complete parameters by the name of the variant; a plain training has `UNCHANGED` alone."""
    code: dict[str, str]
    """Hashes of the method's files (`chain.pipeline.code`)."""

    def configs(self) -> dict[str, MethodConfig]:
        """The parameters of each variant, as the method's own schema."""
        schema = method_class(self.method).Config
        return {name: schema.model_validate(tree) for name, tree in self.variants.items()}


def write_recipe(
    path: Path, method: str, configs: Mapping[str, MethodConfig], code: Mapping[str, str]
) -> None:
    """Write the recipe of `configs`, variants of a method by name."""
    variants = {name: config.model_dump(mode="json") for name, config in configs.items()}
    write_json(path, Recipe(method=method, variants=variants, code=dict(code)).model_dump())


def read_recipe(path: Path) -> Recipe:
    """Read what `write_recipe` wrote. Raises InputError if the file is missing or no recipe."""
    with reading(path, "a recipe", "run `dvc repro check`"):
        recipe = Recipe.model_validate_json(path.read_text())
        recipe.configs()
    return recipe

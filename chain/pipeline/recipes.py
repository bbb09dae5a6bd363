"""Recipes: what a training is made of, its parameters and its code, in one small file each.

A recipe is a dependency of the trainings that follow it. So a change of `params.yaml`, of a data
set's profile or of a method's code makes DVC repeat the trainings that it concerns, and no others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from chain.core.errors import reading
from chain.core.files import write_json
from chain.core.params import Parameters, leaves
from chain.methods import method_config
from chain.methods.base import MethodConfig
from chain.pipeline.fit import PUBLISHED_FROM, fitted

UNCHANGED = "default"
"""What tables call the method without a change."""


class Recipe(Parameters):
    """A method, with the parameters of one or of several variants."""

    method: str
    variants: dict[str, dict[str, object]]
    """Complete parameters by the name of the variant; a plain training has `UNCHANGED` alone."""
    code: dict[str, str]
    """Hashes of the method's files (`chain.pipeline.code`)."""
    fit: dict[str, list[str]] = Field(default_factory=dict)
    """The dotted keys at which a variant follows the number of clips (`chain.pipeline.fit`)."""

    def configs(self, clips: int) -> dict[str, MethodConfig]:
        """The parameters of each variant for so many training clips, as the method's own schema.

        InputError if a size that follows the clips does not go with what a profile states.
        """
        return {
            name: method_config(
                self.method,
                fitted(tree, set(self.fit.get(name, [])), clips),
                key=f"methods.{self.method}",
            )
            for name, tree in self.variants.items()
        }

    def fitted_sizes(self, clips: int) -> list[str]:
        """A line for each variant in which sizes follow the number of clips, with these sizes."""
        configs = self.configs(clips)
        lines = []
        for name, keys in self.fit.items():
            values = leaves(configs[name].model_dump())
            sizes = ", ".join(f"{key} {values[key]}" for key in keys)
            lines.append(f"{self.method} ({name}), fit to {clips} training clips: {sizes}")
        return lines


def write_recipe(
    path: Path,
    method: str,
    configs: Mapping[str, MethodConfig],
    code: Mapping[str, str],
    fits: Mapping[str, Sequence[str]],
) -> None:
    """Write the recipe of `configs`, variants of a method by name; `fits` may name more variants.

    A recipe in which nothing follows the number of clips has no `fit`.
    """
    variants = {name: config.model_dump(mode="json") for name, config in configs.items()}
    fit = {name: list(fits[name]) for name in configs if fits.get(name)}
    recipe = Recipe(method=method, variants=variants, code=dict(code), fit=fit)
    write_json(path, recipe.model_dump(exclude_defaults=True))


def read_recipe(path: Path) -> Recipe:
    """Read what `write_recipe` wrote. InputError if the file is missing or holds no recipe."""
    with reading(path, "a recipe", "run `dvc repro check`"):
        recipe = Recipe.model_validate_json(path.read_text())
        recipe.configs(PUBLISHED_FROM)  # so that a damaged one is noticed here
    return recipe

"""Check that the clips are enough for every training, before they are decoded."""

from chain.backbones.networks import PRETRAIN
from chain.backbones.pretraining import PretrainConfig
from chain.core.errors import InputError
from chain.core.files import write_json
from chain.core.params import profile_path
from chain.datasets.manifest import Roles, read_manifest, select
from chain.pipeline.counts import advice, check_counts
from chain.pipeline.recipes import UNCHANGED, read_recipe
from stages.common import ARTIFACTS, parsed, profile, run


def counts(dataset: str) -> str:
    (backbone,) = profile(dataset, "backbone")
    batch = parsed(PretrainConfig, "pretrain").batch
    manifest = read_manifest(ARTIFACTS / "clips" / dataset / "manifest.csv")
    clips = len(select(manifest, parsed(Roles, "roles", dataset).train))
    if backbone and backbone["weights"] == PRETRAIN and clips < batch:
        raise InputError(
            f"params.yaml: pretrain.batch is {batch}, but {dataset} has only {clips} training "
            "clips; lower it or add clips"
        )
    recipes = ARTIFACTS / "recipes" / dataset
    sizes: list[str] = []
    for path in (*sorted(recipes.glob("*.json")), *sorted(recipes.glob("*/*.json"))):
        recipe = read_recipe(path)
        for variant, config in recipe.configs(clips).items():
            of = "" if variant == UNCHANGED else f" ({path.stem}.{variant})"
            place = f"{profile_path(dataset)}{of}: methods.{recipe.method}"
            check_counts(config, clips, place)
        if path.parent == recipes:  # not of the ablations, whose stage prints its own
            sizes += recipe.fitted_sizes(clips)
    for line in sizes:
        print(line)
    if hint := advice(clips):
        print(f"{dataset}: {hint}")
    write_json(ARTIFACTS / "counted" / f"{dataset}.json", {})  # the same bytes always, as check
    return f"counts: {clips} training clips of {dataset}, as many as each training needs at least"


if __name__ == "__main__":
    run(counts, "dataset")

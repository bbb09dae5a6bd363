"""Check every parameter before hours depend on it, and write the recipes of all trainings."""

import json

from chain.backbones.networks import PRETRAIN
from chain.backbones.weights import load_weights, resolve
from chain.core import params
from chain.core.errors import reading
from chain.core.files import replacing, write_json
from chain.core.params import PARAMS, profile_path
from chain.pipeline.recipes import UNCHANGED, write_recipe
from chain.pipeline.schema import Checked
from stages.common import ARTIFACTS, run


def check() -> str:
    checked = Checked(params.load(PARAMS), lambda name: params.load(profile_path(name)))
    experiment = checked.experiment
    for dataset, profile in checked.profiles.items():
        held = (ARTIFACTS / "backbones" / f"{dataset}.pt").exists()  # by an earlier run
        if profile.backbone and profile.backbone.weights != PRETRAIN and not held:
            load_weights(resolve(profile.backbone, "backbone", profile_path(dataset)))
    code = {}
    for path in (ARTIFACTS / "code" / "methods").glob("*.json"):
        with reading(path, "a list of code", "run `dvc repro code`"):
            code[path.stem] = json.loads(path.read_text())
    with replacing(ARTIFACTS / "recipes") as out:
        for dataset in experiment.datasets:
            for method in experiment.grid.methods:
                configs = {UNCHANGED: checked.config(dataset, method)}
                fits = checked.fits(dataset, method)
                write_recipe(out / dataset / f"{method}.json", method, configs, code[method], fits)
            for table in experiment.ablations.tables:
                method, configs = checked.variants(dataset, table)
                place = out / dataset / "ablations" / f"{table}.json"
                fits = checked.fits(dataset, method, table)
                write_recipe(place, method, configs, code[method], fits)
    (ARTIFACTS / "ablations").mkdir(parents=True, exist_ok=True)  # gathered even if there are none
    write_json(ARTIFACTS / "checked.json", {})  # same bytes always: only an error stops the rest
    left_out = "".join(f"; {line}" for line in checked.left_out)
    return f"check: {PARAMS} is sound; data sets: {', '.join(experiment.datasets)}{left_out}"


if __name__ == "__main__":
    run(check)

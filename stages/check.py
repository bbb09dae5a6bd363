"""Check every parameter before hours of work depend on it."""

from chain.core import params
from chain.core.files import write_json
from chain.pipeline.schema import check_experiment
from stages.common import ARTIFACTS, PARAMS, run


def check() -> str:
    experiment = check_experiment(params.load(PARAMS))
    (ARTIFACTS / "ablations").mkdir(parents=True, exist_ok=True)  # gathered even if there are none
    write_json(ARTIFACTS / "checked.json", {})  # same bytes always: only an error stops the rest
    return f"check: {PARAMS} is sound; data sets: {', '.join(experiment.datasets)}"


if __name__ == "__main__":
    run(check)

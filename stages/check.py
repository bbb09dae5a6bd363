"""Check every parameter before hours of work depend on it."""

from chain import params
from chain.experiment import check_experiment
from chain.files import write_json
from stages.common import ARTIFACTS, PARAMS, run


def check() -> str:
    experiment = check_experiment(params.load(PARAMS))
    (ARTIFACTS / "ablations").mkdir(parents=True, exist_ok=True)  # gathered even if there are none
    write_json(ARTIFACTS / "checked.json", {})  # same bytes always: only an error stops the rest
    return f"check: {PARAMS} is sound; data sets: {', '.join(experiment.datasets)}"


if __name__ == "__main__":
    run(check)

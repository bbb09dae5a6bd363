"""Which code each stage and each method runs, so that a change of it re-runs what it concerns."""

from pathlib import Path

from chain.core.files import replacing, write_json
from chain.methods import METHODS
from chain.pipeline.code import code_of
from stages.common import ARTIFACTS, run

ROOT = Path(__file__).parents[1]


def code() -> str:
    stages = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))
    with replacing(ARTIFACTS / "code") as out:
        for room, names in {"stages": stages, "chain/methods": list(METHODS)}.items():
            for name in names:
                files = code_of(ROOT / room / f"{name}.py", ROOT)
                write_json(out / Path(room).name / f"{name}.json", files)
    return f"code: {len(stages)} entry points and {len(METHODS)} methods in {ARTIFACTS}/code"


if __name__ == "__main__":
    run(code)

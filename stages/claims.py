"""The paper's claims against what this run measured, decided by code."""

from pathlib import Path

from chain.claims.decide import artifact_reader, claims_markdown, decide
from chain.files import replacing, write_csv
from stages.common import ARTIFACTS, parameters, run

METRICS = Path("metrics")


def claims() -> str:
    (datasets,) = parameters("datasets")
    table = decide(artifact_reader(ARTIFACTS), datasets)
    write_csv(METRICS / "claims.csv", table)
    with replacing(METRICS / "claims.md") as temporary:
        temporary.write_text(claims_markdown(table))
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    return f"claims: {counts}; {METRICS}/claims.md"


if __name__ == "__main__":
    run(claims)

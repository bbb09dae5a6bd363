"""The paper's claims and CHAIN+'s aims against what this run measured, decided by code."""

from pathlib import Path

import pandas as pd

from chain.claims.aims import AIMS
from chain.claims.decide import RULE, artifact_reader, claims_markdown, decide
from chain.claims.paper import CLAIMS
from chain.core.files import replacing, write_csv
from stages.common import ARTIFACTS, parameters, run

METRICS = Path("metrics")


def claims() -> str:
    datasets, grid = parameters("datasets", "grid")
    reader = artifact_reader(ARTIFACTS)
    table = decide(reader, datasets, CLAIMS)
    text = claims_markdown(table)
    if "chain_plus" in grid["methods"]:
        aims = decide(reader, datasets, AIMS)
        text += f"\n### Aims of CHAIN+, which is ours\n\n{claims_markdown(aims, 'aim')}"
        table = pd.concat([table, aims])
    write_csv(METRICS / "claims.csv", table)
    with replacing(METRICS / "claims.md") as temporary:
        temporary.write_text(f"{text}\n{RULE}\n")
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    return f"claims: {counts}; {METRICS}/claims.md"


if __name__ == "__main__":
    run(claims)

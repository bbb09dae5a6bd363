"""The paper's claims and CHAIN+'s aims against what this run measured, decided by code."""

from pathlib import Path

import pandas as pd

from chain.claims.aims import AIMS
from chain.claims.claims_table import RULE, claims_table
from chain.claims.decide import artifact_reader, decide
from chain.claims.paper import CLAIMS
from chain.core.files import write_csv
from chain.results.table import write_tables
from stages.common import ARTIFACTS, parameters, run

METRICS, TABLES = Path("metrics"), ARTIFACTS / "tables"


def claims() -> str:
    datasets, grid = parameters("datasets", "grid")
    reader = artifact_reader(ARTIFACTS)
    table = decide(reader, datasets, CLAIMS)
    printed = [claims_table(table)]
    if "chain_plus" in grid["methods"]:
        aims = decide(reader, datasets, AIMS)
        printed.append(claims_table(aims, "aim", "Aims of CHAIN+, which is ours"))
        table = pd.concat([table, aims])
    write_csv(METRICS / "claims.csv", table)
    write_tables(TABLES / "claims.json", METRICS / "claims.md", printed, [RULE])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    return f"claims: {counts}; {METRICS}/claims.md"


if __name__ == "__main__":
    run(claims)

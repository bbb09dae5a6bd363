"""The paper's claims, our comparisons and our aims, decided by what this run measured."""

import pandas as pd

from chain.claims.aims import AIMS, COMPARISONS
from chain.claims.claims_table import RULE, claims_table
from chain.claims.decide import artifact_reader, decide
from chain.claims.paper import CLAIMS
from chain.core.files import write_csv
from chain.results.table import write_tables
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, run


def claims() -> str:
    datasets, grid, ablations = parameters("datasets", "grid", "ablations.tables")
    reader, ran = artifact_reader(ARTIFACTS), {*grid["methods"], *ablations}
    paper, ours, aims = (
        decide(reader, datasets, claims, ran) for claims in (CLAIMS, COMPARISONS, AIMS)
    )
    printed = [
        claims_table(paper),
        claims_table(ours, "asked", "Comparisons of ours, not the paper's"),
        claims_table(aims, "aim", "Aims of ours, not the paper's"),
    ]
    table = pd.concat([paper, ours, aims])
    write_csv(METRICS / "claims.csv", table)
    write_tables(TABLES / "claims.json", METRICS / "claims.md", printed, [RULE])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    return f"claims: {counts}; {METRICS}/claims.md"


if __name__ == "__main__":
    run(claims)

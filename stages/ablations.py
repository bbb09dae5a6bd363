"""The ablations beside the unchanged method: tables, and the sensitivity to each parameter."""

from itertools import product
from pathlib import Path

import pandas as pd

from chain.core.files import replacing, write_csv
from chain.features.augmentation import STRENGTHS
from chain.figures.sensitivity import sensitivity
from chain.figures.style import save
from chain.methods.saved_models import read_description
from chain.results.ablation_tables import ablation_scores, ablation_table, run_here
from chain.results.at_k import at_k
from chain.results.grid import read_ablation, read_cell
from chain.results.sensitivity_points import sensitivity_points
from chain.results.table import write_tables
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, run

PLOTS = Path("plots/ablations")


def ablations(bits: int) -> str:
    datasets, wanted, figures = parameters("datasets", "ablations", "figures")
    scores, printed = [], []
    with replacing(PLOTS) as out:
        out.mkdir()
        for dataset, method in product(datasets, wanted["variants"]):
            defined = wanted["variants"][method]
            names = [name for name in wanted["tables"] if name in defined]
            unchanged = read_cell(ARTIFACTS, dataset, method, bits, "map")
            found = {name: read_ablation(ARTIFACTS, dataset, name, "map") for name in names}
            found = {name: table for name, table in found.items() if len(table)}
            tables = {name: run_here(defined[name], table) for name, table in found.items()}
            if unchanged.empty or not found:
                continue
            trained = ARTIFACTS / "models" / dataset / f"{method}_{bits}"
            defaults = read_description(trained).parameters
            of_method = []
            for name, table in found.items():
                of_method.append(
                    ablation_scores(table.assign(method=method, table=name), unchanged)
                )
                printed.append(ablation_table(of_method[-1], tables[name], defaults))
            scores += of_method
            k = at_k(unchanged, figures["k"])["k"].iloc[0]
            points = sensitivity_points(pd.concat(of_method), tables, defaults, STRENGTHS, k)
            if len(points):
                save(sensitivity(points, k), out / f"sensitivity_{dataset}.png")
    write_csv(METRICS / "ablations.csv", pd.concat(scores) if scores else pd.DataFrame())
    notes = [] if printed else ["No ablation was run."]
    write_tables(TABLES / "ablations.json", METRICS / "ablations.md", printed, notes)
    return f"ablations: {len(printed)} tables in {METRICS}/ablations.md"


if __name__ == "__main__":
    run(ablations, "bits")

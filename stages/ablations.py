"""The ablations beside the unchanged method: tables, and the sensitivity to each parameter."""

from pathlib import Path

import pandas as pd

from chain.core.files import replacing, write_csv
from chain.features.augmentation import STRENGTHS
from chain.figures.sensitivity import sensitivity
from chain.figures.style import save
from chain.methods.saved_models import read_description
from chain.results.ablation_tables import ablation_markdown, ablation_scores, sensitivity_points
from chain.results.grid import read_ablation, read_cell
from stages.common import ARTIFACTS, parameters, run

METRICS, PLOTS = Path("metrics"), Path("plots/ablations")


def ablations(bits: int) -> str:
    wanted, figures = parameters("ablations", "figures")
    scores, text = [], []
    with replacing(PLOTS) as out:
        out.mkdir()
        for dataset in wanted["datasets"]:
            chosen = {table: wanted["chain"][table] for table in wanted["tables"]}
            for method, tables in {"chain": chosen, "chain_plus": wanted["chain_plus"]}.items():
                unchanged = read_cell(ARTIFACTS, dataset, method, bits, "map")
                if unchanged.empty:
                    continue
                trained = ARTIFACTS / "models" / dataset / f"{method}_{bits}"
                defaults = read_description(trained).parameters
                of_method = []
                for table, changed in tables.items():
                    found = read_ablation(ARTIFACTS, dataset, table, "map")
                    found = found.assign(method=method, table=table)
                    of_method.append(ablation_scores(found, unchanged))
                    text.append(ablation_markdown(of_method[-1], changed, defaults))
                scores += of_method
                points = sensitivity_points(
                    pd.concat(of_method), tables, defaults, STRENGTHS, figures["k"]
                )
                if len(points):
                    save(sensitivity(points, figures["k"]), out / f"sensitivity_{dataset}.png")
    write_csv(METRICS / "ablations.csv", pd.concat(scores) if scores else pd.DataFrame())
    with replacing(METRICS / "ablations.md") as temporary:
        temporary.write_text("\n".join(text) or "No ablation was run.\n")
    return f"ablations: {len(text)} tables in {METRICS}/ablations.md"


if __name__ == "__main__":
    run(ablations, "bits")

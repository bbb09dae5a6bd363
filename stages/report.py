"""One page with everything: results, claims, ablations, figures, parameters and versions."""

from pathlib import Path

from chain.claims.decide import RULE
from chain.core.files import replacing
from chain.report.content import Figure, Report, Section
from chain.report.convert import installed_versions, tables_from_markdown
from chain.report.page import render
from chain.report.readme import replace_block
from chain.report.sections import figure_sections, readme_table, result_section
from chain.results.grid import over_seeds, read_all_floats, read_grid
from stages.common import ARTIFACTS, PARAMS, parameters, run

METRICS, PLOTS, README = Path("metrics"), Path("plots"), Path("README.md")
REPORTED = ("claims", "ablations", "transfer", "cost")
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "faiss-cpu", "av", "dvc")


def report(lengths: str) -> str:
    datasets, grid, seed, repeats, figures = parameters(
        "datasets", "grid", "seed", "repeats", "figures"
    )
    bits = sorted(set(map(int, lengths.split(","))))
    scores = over_seeds(read_grid(ARTIFACTS, datasets, grid["methods"], bits, "map"), "k")
    text = {name: (METRICS / f"{name}.md").read_text() for name in REPORTED}
    pictures = [
        Figure(path, "Sensitivity to each parameter")
        for path in sorted((PLOTS / "ablations").glob("*.png"))
    ]
    page = Report(
        "CHAIN: self-supervised video hashing",
        (
            result_section(scores, (METRICS / "retrieval.md").read_text()),
            Section(
                "Claims of the paper", RULE.replace("*", ""), tables_from_markdown(text["claims"])
            ),
            *figure_sections(PLOTS),
            Section(
                "Ablations",
                "Each variant changes one thing; default is the method as it stands above.",
                tables_from_markdown(text["ablations"]),
                figures=tuple(pictures),
            ),
            Section(
                "Transfer",
                "Trained on one data set, evaluated on another that shares its CNN.",
                tables_from_markdown(text["transfer"]),
            ),
            Section("Cost", tables=tables_from_markdown(text["cost"])),
        ),
        PARAMS.read_text(),
        installed_versions(PACKAGES),
        {"trainings": ", ".join(map(str, range(seed, seed + repeats)))},
    )
    with replacing(PLOTS / "report.html") as temporary:
        temporary.write_text(render(page), encoding="utf-8")
    if len(scores) and README.exists():
        with replacing(README) as temporary:
            table = readme_table(scores, read_all_floats(ARTIFACTS, datasets), figures["k"])
            temporary.write_text(replace_block(README.read_text(), "results", table))
    return f"report: {PLOTS}/report.html; results table in {README}"


if __name__ == "__main__":
    run(report, "lengths")

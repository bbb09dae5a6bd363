"""One page with everything: results, claims, ablations, figures, parameters and versions."""

from pathlib import Path

from chain.core.files import replacing
from chain.core.params import PARAMS, profile_path
from chain.report.answer import answers
from chain.report.content import Report
from chain.report.page import render
from chain.report.readme_block import replace_block
from chain.report.sections import report_sections
from chain.report.versions import installed_versions
from chain.results.grid import count_queries, over_seeds, read_all_floats, read_grid
from chain.results.map_tables import readme_tables
from chain.results.table import read_tables
from stages.common import ARTIFACTS, TABLES, parameters, run

PLOTS, README = Path("plots"), Path("README.md")
BENCHMARKS = Path("benchmarks/results")
REPORTED = ("retrieval", "claims", "ablations", "local_tasks", "transfer", "cost")
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "faiss-cpu", "av", "dvc")


def report(lengths: str) -> str:
    datasets, grid, seed, repeats, figures = parameters(
        "datasets", "grid", "seed", "repeats", "figures"
    )
    bits = sorted(set(map(int, lengths.split(","))))
    scores = over_seeds(read_grid(ARTIFACTS, datasets, grid["methods"], bits, "map"), "k")
    floats, k = read_all_floats(ARTIFACTS, datasets), figures["k"]
    tables = {name: read_tables(TABLES / f"{name}.json") for name in REPORTED}
    measured = [BENCHMARKS / dataset for dataset in datasets]
    words = answers(scores, floats, count_queries(ARTIFACTS, datasets), bits[-1], k, repeats)
    page = Report(
        "CHAIN: self-supervised video hashing",
        report_sections(words, scores, tables, PLOTS, measured),
        {str(path): path.read_text() for path in (PARAMS, *map(profile_path, datasets))},
        installed_versions(PACKAGES),
        {"trainings": ", ".join(map(str, range(seed, seed + repeats)))},
    )
    with replacing(PLOTS / "report.html") as temporary:
        temporary.write_text(render(page), encoding="utf-8")
    if len(scores) and README.exists():
        with replacing(README) as temporary:
            block = "\n".join(table.markdown() for table in readme_tables(scores, floats, k))
            temporary.write_text(replace_block(README.read_text(), "results", block))
    return f"report: {PLOTS}/report.html; results table in {README}"


if __name__ == "__main__":
    run(report, "lengths")

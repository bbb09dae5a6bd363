"""The sections of the report, made from the tables and figures of the pipeline's stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from chain.claims.claims_table import RULE
from chain.report.answer import claims_answer
from chain.report.charts import Chart, method_series
from chain.report.content import Figure, Section
from chain.results.labels import dataset_label
from chain.results.table import Table, read_tables

GALLERY = "retrieved/retrieved.png"
LOCAL_TASKS = "The local tasks"
BENCHMARKS = {  # name -> heading and caption of its figure
    "hasher": (
        "The hasher",
        "What each way to compute a code costs, measured by python -m benchmarks.hasher",
    ),
    "update": (
        "Updates of the hasher",
        "A third of the categories arrives late: the old hasher, its update, and one trained anew; "
        "mean and sd over seeds, and processor seconds, measured by python -m benchmarks.update",
    ),
}
FIGURES = {  # heading -> file and caption, in the order of the report
    "Retrieval": {
        "figures/map_strict.png": "mAP@K, strict protocol: mean and sd over seeds",
        "figures/map_ssvh.png": "mAP@K as the literature computes it, with published numbers "
        "dotted where they exist for the data set",
        "figures/map_by_bits.png": "mAP against the code length",
        "figures/precision_recall.png": "Precision against recall by rank",
        "figures/category_gain.png": "CHAIN against ConMH, category by category",
    },
    "Codes": {"retrieved/tsne.png": "t-SNE of the codes of the first categories"},
    LOCAL_TASKS: {
        "local_tasks/order.png": "Where the order task puts the frames that were moved",
        "local_tasks/scenes.png": "Scenes that affinity propagation finds in a few queries, and in "
        "joins of two clips",
        "local_tasks/reversal.png": "Codes of a clip and its reversal, 64 bits: mean and sd over "
        "seeds",
    },
    "Training": {"figures/learning_curves.png": "The parts of each loss, epoch by epoch"},
}


def report_sections(
    answers: Sequence[str],
    scores: pd.DataFrame,
    tables: Mapping[str, tuple[Table, ...]],
    plots: Path,
    benchmarks: Sequence[Path],
) -> tuple[Section, ...]:
    """All sections that have something to show, the answer first.

    `tables` are those of the stages retrieval, claims, ablations, local_tasks, transfer and
    cost, by these names; `plots` is the folder of the pictures that were drawn, and `benchmarks`
    are the folders of what benchmarks measured, one for each data set.
    """
    sensitivity = tuple(
        Figure(path, "Sensitivity to each parameter")
        for path in sorted((plots / "ablations").glob("*.png"))
    )
    sections = (
        opening_section([*answers, *map(claims_answer, tables["claims"][:1])], plots),
        result_section(scores, tables["retrieval"]),
        Section("Claims of the paper", RULE.replace("*", ""), tables["claims"]),
        *figure_sections(plots, {LOCAL_TASKS: tables["local_tasks"]}),
        Section(
            "Ablations",
            "Each variant changes one thing; default is the method as it stands above.",
            tables["ablations"],
            figures=sensitivity,
        ),
        Section(
            "Transfer",
            "Each method is trained on one data set and evaluated on another that shares its CNN.",
            tables["transfer"],
        ),
        Section("Cost", tables=tables["cost"]),
        *(one for folder in benchmarks for one in benchmark_sections(folder)),
    )
    return tuple(one for one in sections if one.tables or one.figures or one is sections[0])


def opening_section(answers: Sequence[str], plots: Path) -> Section:
    """The answers in words, and the gallery if it was drawn."""
    caption = (
        "The five clips found first, each by three frames from its beginning, middle and end: "
        "right ones are green, wrong ones red"
    )
    gallery = plots / GALLERY
    figures = (Figure(gallery, caption),) if gallery.exists() else ()
    return Section(
        "Which method is best, and do the paper's claims hold?",
        "\n\n".join(answers),
        figures=figures,
    )


def result_section(scores: pd.DataFrame, tables: tuple[Table, ...]) -> Section:
    """The tables of results, and an interactive chart of each data set and code length."""
    charts = []
    if len(scores):
        for (dataset, bits), cell in scores.groupby(["dataset", "bits"], sort=False):
            series = method_series(cell, "k", "map_strict", "sd_strict")
            caption = f"{dataset_label(str(dataset))}, {bits} bits"
            charts.append(Chart(caption, "K", "mAP@K", series))
    return Section(
        "Results",
        "The curves follow the strict protocol: the query's own copy is left out, and ties are "
        "averaged in closed form. Point at a curve for its values; click a name to hide its line.",
        tables,
        tuple(charts),
    )


def figure_sections(plots: Path, tables: Mapping[str, tuple[Table, ...]]) -> tuple[Section, ...]:
    """One section for each heading of `FIGURES`, with those of its pictures that were drawn.

    `tables` are those that stand in a section, by its heading.
    """
    sections = []
    for heading, captions in FIGURES.items():
        drawn = tuple(
            Figure(plots / name, caption)
            for name, caption in captions.items()
            if (plots / name).exists()
        )
        if drawn:
            sections.append(Section(heading, tables=tables.get(heading, ()), figures=drawn))
    return tuple(sections)


def benchmark_sections(folder: Path) -> tuple[Section, ...]:
    """A section for each benchmark of `BENCHMARKS` whose table and figure are in the folder."""
    return tuple(
        Section(
            heading,
            tables=read_tables(folder / f"{name}.json"),
            figures=(Figure(folder / f"{name}.png", caption),),
        )
        for name, (heading, caption) in BENCHMARKS.items()
        if (folder / f"{name}.json").exists() and (folder / f"{name}.png").exists()
    )

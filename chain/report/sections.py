"""The sections of the pipeline's report, from the tables and figures of its stages."""

from pathlib import Path

import pandas as pd

from chain.figures.style import dataset_label, method_style, ordered
from chain.report.content import Curves, Figure, Section
from chain.report.convert import method_series, tables_from_markdown

FLOAT_LABEL = "*float features, cosine*"
FIGURES = {  # heading -> file and caption, in the order of the report
    "Retrieval": {
        "figures/map_strict.png": "mAP@K, strict protocol: mean and sd over seeds",
        "figures/map_ssvh.png": "mAP@K as the literature computes it; published numbers dotted, "
        "where they exist for the data set",
        "figures/map_by_bits.png": "mAP against the code length",
        "figures/precision_recall.png": "Precision against recall by rank",
        "figures/category_gain.png": "CHAIN against ConMH, category by category",
    },
    "What is found": {
        "retrieved/retrieved.png": "The five clips found first: right ones green, wrong ones red",
        "retrieved/tsne.png": "t-SNE of the codes of the first categories",
    },
    "The local tasks": {
        "local_tasks/scenes.png": "Scenes that affinity propagation finds in a few queries",
        "local_tasks/order.png": "Where the order task puts the frames of shuffled queries",
    },
    "Training": {"figures/learning_curves.png": "The parts of each loss, epoch by epoch"},
}


def figure_sections(plots: Path) -> tuple[Section, ...]:
    """One section a heading of `FIGURES`, with those of its pictures that were drawn."""
    sections = []
    for heading, captions in FIGURES.items():
        drawn = tuple(
            Figure(plots / name, caption)
            for name, caption in captions.items()
            if (plots / name).exists()
        )
        if drawn:
            sections.append(Section(heading, figures=drawn))
    return tuple(sections)


def result_section(scores: pd.DataFrame, text: str) -> Section:
    """Tables (Markdown, as the stage `tables` writes them) and interactive curves of each cell."""
    curves = []
    if len(scores):
        for (dataset, bits), cell in scores.groupby(["dataset", "bits"], sort=False):
            series = method_series(cell, "k", "map_strict", "sd_strict")
            curves.append(
                Curves(f"{dataset_label(str(dataset))}, {bits} bits", "K", "mAP@K", series)
            )
    return Section(
        "Results",
        "Strict protocol in the curves: the query's own copy is left out, ties are averaged in "
        "closed form. Point at a curve for its values; click a name to hide its line.",
        tables_from_markdown(text),
        tuple(curves),
    )


def readme_table(scores: pd.DataFrame, floats: pd.DataFrame, k: int) -> str:
    """Strict mAP@k of every method by code length, as Markdown, one table a data set.

    Below the methods, that of the `floats` (dataset, k, map_strict), which have no code length.
    """
    parts = []
    for dataset, part in scores[scores["k"] == k].groupby("dataset", sort=False):
        lengths = sorted(part["bits"].unique())
        cells = part.set_index(["method", "bits"])
        best = {bits: f"{cells.xs(bits, level='bits')['map_strict'].max():.3f}" for bits in lengths}
        lines = [
            [f"{dataset_label(str(dataset))}, mAP@{k}", *(f"{bits} bits" for bits in lengths)],
            ["---", *("--:" for _ in lengths)],
        ]
        for method in ordered(part["method"]):
            texts = []
            for bits in lengths:
                row = cells.loc[(method, bits)]
                text = mean = f"{row['map_strict']:.3f}"
                if pd.notna(row.get("sd_strict")):
                    text += f" ± {row['sd_strict']:.3f}"
                texts.append(f"**{text}**" if mean == best[bits] else text)
            lines.append([method_style(method).label, *texts])
        if len(floats):
            found = floats[(floats["dataset"] == dataset) & (floats["k"] == k)]["map_strict"]
            lines += [[FLOAT_LABEL, *(f"{value:.3f}" for _ in lengths)] for value in found]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)

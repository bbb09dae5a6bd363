"""The answer that a report opens with: which method won, by how much, and on what."""

from collections.abc import Mapping, Sequence

import pandas as pd

from chain.claims.decide import NOT_REPRODUCED, REPRODUCED
from chain.results.at_k import at_k
from chain.results.floors import TRAINING_FREE, best_floats
from chain.results.labels import dataset_label, method_label, ordered
from chain.results.score_cells import mean_and_sd
from chain.results.table import Table

BASELINE = "conmh"
NOTHING = "No data set of this run has categories, so there is nothing to evaluate."


def answers(
    scores: pd.DataFrame,
    floats: pd.DataFrame,
    queries: Mapping[str, int],
    bits: int,
    k: int,
    seeds: int,
) -> list[str]:
    """The `answer` for each data set, or one sentence that says why there is none."""
    if scores.empty:
        return [NOTHING]
    names = scores["dataset"].unique()
    return [answer(scores, floats, name, queries[name], bits, k, seeds) for name in names]


def answer(
    scores: pd.DataFrame,
    floats: pd.DataFrame,
    dataset: str,
    queries: int,
    bits: int,
    k: int,
    seeds: int,
) -> str:
    """A few sentences on one data set, with codes of `bits` bits and strict mAP@`k`.

    The first names the method with the highest mean over `seeds` seeds, or the only method, and the
    number of queries. The second says how far it is from ConMH and from the best variant of the
    float features that the codes are made from, and which methods do not beat these features. If
    there are other code lengths, the last names the best method at each, and says whether it beats
    every floor. If the data set lacks this K, all tell of the largest smaller one.

    `scores` has columns dataset, method, bits, k, map_strict and, for several seeds, sd_strict.
    `floats` has columns dataset, variant, k and map_strict.
    """
    lengths = at_k(scores[scores["dataset"] == dataset], k)
    cell, k = lengths[lengths["bits"] == bits], lengths["k"].iloc[0]
    rows = {str(row["method"]): row for row in cell.to_dict("records")}
    means = {method: float(rows[method]["map_strict"]) for method in ordered(rows)}
    best = max(means, key=lambda method: means[method])
    spread = f"mean ± sd over {seeds} seeds" if seeds > 1 else "one seed"
    standing = "has the highest mean" if len(means) > 1 else "is the only method,"
    first = (
        f"On {dataset_label(dataset)}, {method_label(best)} {standing} with {bits}-bit "
        f"codes: its mAP@{k} is {mean_and_sd(rows[best])} (strict protocol, "
        f"{queries:,} queries, {spread})."
    )
    ranked = best_floats(floats[(floats["dataset"] == dataset) & (floats["k"] == k)])
    variant, without_code = ranked["variant"].item(), ranked["map_strict"].item()
    gaps = [
        f"{_gap(means[best], without_code)} the best float features "
        f"({variant.replace('_', ' ')}, without a code: {without_code:.3f})"
    ]
    if BASELINE in means and best != BASELINE:
        score = mean_and_sd(rows[BASELINE])
        gaps.insert(0, f"{_gap(means[best], means[BASELINE])} {method_label(BASELINE)} ({score})")
    second = f"That is {_listed(gaps)}."
    below = [method_label(method) for method in means if means[method] <= without_code]
    if below:
        verb = "does" if len(below) == 1 else "do"
        second += f" {_listed(below)} {verb} not beat these features."
    others = [
        f"{method_label(row['method'])} with {row['bits']} bits ({row['map_strict']:.3f}, "
        f"{_standing(row['method'], row['map_strict'], without_code)})"
        for _, length in lengths[lengths["bits"] != bits].groupby("bits")
        for row in length.nlargest(1, "map_strict").to_dict("records")
    ]
    if others:
        second += f" At the other code lengths the highest mean is that of {_listed(others)}."
    return f"{first} {second}"


def claims_answer(claims: Table) -> str:
    """How many of the paper's claims hold; `claims` is the table of `claims_table`."""
    column = claims.header.index("verdict")
    verdicts = [row[column].text for row in claims.rows]
    held, fell = verdicts.count(REPRODUCED), verdicts.count(NOT_REPRODUCED)
    rest = len(verdicts) - held - fell
    if rest == len(verdicts):
        return f"This run decides none of the {rest} rows in the table of the paper's claims."
    undecided = f" {rest} could not be decided here." if rest else ""
    return (
        f"Of the {len(verdicts)} rows in the table of the paper's claims, {held} are reproduced "
        f"and {fell} are not.{undecided}"
    )


def _standing(method: str, mean: float, without_code: float) -> str:
    """How the best method of a code length stands to the floors, some of which are methods too."""
    if mean <= without_code:
        return "not above the float features"
    return "without training" if method in TRAINING_FREE else "above every floor"


def _gap(ours: float, theirs: float) -> str:
    """How far `ours` lies from `theirs`, which is above 0, in percent."""
    percent = round(100 * (ours / theirs - 1))
    if not percent:
        return "as much as"
    return f"{abs(percent)} % {'above' if percent > 0 else 'below'}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

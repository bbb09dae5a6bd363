"""The verdict on each claim, by one rule, from the evaluations of the pipeline.

The rule:

* A claim is reproduced if the 95 % interval of the relative gain in mAP@20 lies wholly above 0. If
  the paper states a figure, the interval must also reach it.
* A claim over several rivals needs this against each of them.
* Precision at equal recall is reproduced if the mean curve is the higher one at every recall, and
  if the mean precision is higher for every pairing of seeds.
* A comparison of ours says that one side is ahead if the interval lies wholly above 0.
* An aim of ours is reached if the measured gain is at least what the aim asks for, and if the
  interval lies wholly above 0. An aim that asks for less than 0, so for a share of the rival's
  mAP@20, does without the interval.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from chain.claims.bootstrap import paired_bootstrap
from chain.claims.curves import precision_gain
from chain.claims.paper import CLAIMS, Claim, Group, K, Side
from chain.core.errors import InputError
from chain.results.grid import FLOATS, read_ablation, read_cell, read_floats
from chain.results.published import benchmark

RESAMPLES = 2000
SEED = 0

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_RUN = "not run here (data absent)"
NOT_IN_GRID = "not run here (not in grid.methods)"
NO_TABLE = "not run here (not in ablations.tables)"
NO_RESULT = "not run here (not evaluated on this data set)"
NO_SUCH_K = f"not run here (not evaluated at K = {K})"
VERDICTS: dict[Group, tuple[str, str]] = {
    "paper": (REPRODUCED, NOT_REPRODUCED),
    "comparison": ("ahead", "not ahead"),
    "aim": ("reached", "not reached"),
}

Reader = Callable[[str, Side, str], pd.DataFrame]


@dataclass(frozen=True)
class Measured:
    """One comparison: the relative gain, its range, and whether the rule counts it as ahead."""

    mean: float
    low: float
    high: float
    ahead: bool
    seeds: int
    queries: int


def artifact_reader(artifacts: Path) -> Reader:
    """A reader of what the pipeline wrote below `artifacts`; what is absent reads as empty."""

    def read(dataset: str, side: Side, table: str) -> pd.DataFrame:
        if side.name == FLOATS:
            return _best_variant(read_floats(artifacts, dataset, table))
        if side.ablation is None:
            return read_cell(artifacts, dataset, side.name, side.bits, table)
        rows = read_ablation(artifacts, dataset, side.ablation, table)
        return rows[rows["variant"] == side.name] if len(rows) else rows

    return read


def decide(
    read: Reader,
    datasets: Sequence[str],
    claims: Sequence[Claim] = CLAIMS,
    ran: Collection[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> pd.DataFrame:
    """The verdict on each claim, on its own data set or else on each of `datasets`.

    `ran` has the methods of the grid and the tables of ablations of this run; None means all.
    `read(dataset, side, table)` gives one side's `queries` (seed, id, ap20) or `by_rank` (seed,
    recall, precision), and an empty table where there is none. The result has columns claim, data
    set, paper, measured, low and high (these four are relative gains), seeds, queries and verdict.
    Raises InputError, naming claim and data set, if the two sides can not be compared.
    """
    rows = []
    for claim in claims:
        meant = [name for name in datasets if claim.dataset in (None, benchmark(name))]
        for dataset in meant or filter(None, [claim.dataset]):
            found: Measured | str = NOT_RUN
            if dataset in datasets:
                found = _left_out(claim, ran) or measure(claim, dataset, read, resamples, seed)
            rows.append(_row(claim, dataset, found))
    types = {"paper": float, "measured": float, "low": float, "high": float}
    return pd.DataFrame(rows).astype({**types, "seeds": "Int64", "queries": "Int64"})


def measure(claim: Claim, dataset: str, read: Reader, resamples: int, seed: int) -> Measured | str:
    """The comparison with the closest of the claim's rivals, or why there is none.

    There is none if a side was not evaluated at all (`NO_RESULT`), or if the claim is about mAP and
    K = 20 was not evaluated (`NO_SUCH_K`).
    """
    comparisons = []
    for rival in claim.theirs:
        try:
            found = _compare(claim, rival, dataset, read, resamples, seed)
        except InputError as error:
            raise InputError(f"{claim.text} ({dataset}, {rival.name}): {error}") from error
        if isinstance(found, str):
            return found
        comparisons.append(found)
    return min(comparisons, key=lambda one: (one.ahead, one.low))


def verdict(claim: Claim, dataset: str, found: Measured | str) -> str:
    """The verdict by this module's rule, or `found` itself if it says why nothing was measured."""
    if isinstance(found, str):
        return found
    asked = claim.asked(dataset) or 0.0
    if claim.group == "aim":
        holds = found.mean >= asked and (found.ahead or asked < 0)
    else:
        holds = found.ahead and found.high >= asked
    yes, no = VERDICTS[claim.group]
    return yes if holds else no


def _left_out(claim: Claim, ran: Collection[str] | None) -> str | None:
    """Why this run has nothing to decide the claim by, or None if nothing was left out."""
    sides = (claim.ours, *claim.theirs)
    if ran is None:
        return None
    if any(side.ablation is None and side.name not in {*ran, FLOATS} for side in sides):
        return NOT_IN_GRID
    if any(side.ablation is not None and side.ablation not in ran for side in sides):
        return NO_TABLE
    return None


def _compare(
    claim: Claim, rival: Side, dataset: str, read: Reader, resamples: int, seed: int
) -> Measured | str:
    sides = (claim.ours, rival)
    queries = [read(dataset, side, "queries") for side in sides]
    if any(table.empty for table in queries):
        return NO_RESULT
    ids = [set(table["id"]) for table in queries]
    if ids[0] != ids[1]:
        raise InputError("queries: the two sides were evaluated on different ones")
    counts = {"seeds": min(table["seed"].nunique() for table in queries), "queries": len(ids[0])}
    if claim.kind == "precision":  # it needs no K
        curve = precision_gain(*(read(dataset, side, "by_rank") for side in sides))
        ahead = curve.everywhere and curve.low > 0
        return Measured(curve.mean, curve.low, curve.high, ahead, **counts)
    if any(f"ap{K}" not in table.columns for table in queries):
        return NO_SUCH_K
    ours, theirs = (_precisions(table).to_numpy() for table in queries)
    gain = paired_bootstrap(ours, theirs, resamples, seed)
    return Measured(gain.mean, gain.low, gain.high, gain.low > 0, **counts)


def _best_variant(queries: pd.DataFrame) -> pd.DataFrame:
    """The rows of that variant of the float features whose mean AP@20 over all queries is highest.

    What has no AP@20 stays as it is, since nothing is decided from it.
    """
    if f"ap{K}" not in queries:
        return queries
    best = queries.groupby("variant", sort=False)[f"ap{K}"].mean().idxmax()
    return queries[queries["variant"] == best]


def _precisions(queries: pd.DataFrame) -> pd.DataFrame:
    """AP@20 of each seed (rows) and query (columns), both in ascending order."""
    if queries.duplicated(["seed", "id"]).any():
        raise InputError("queries: two rows with the same seed and id")
    matrix = queries.pivot(index="seed", columns="id", values=f"ap{K}")
    if matrix.isna().to_numpy().any():
        raise InputError(f"queries: ap{K} is NaN, or a seed lacks a query that another one has")
    return matrix


def _row(claim: Claim, dataset: str, found: Measured | str) -> dict[str, Any]:
    measured = None if isinstance(found, str) else found
    return {
        "claim": claim.text,
        "data set": dataset,
        "paper": claim.asked(dataset),
        "measured": measured and measured.mean,
        "low": measured and measured.low,
        "high": measured and measured.high,
        "seeds": measured and measured.seeds,
        "queries": measured and measured.queries,
        "verdict": verdict(claim, dataset, found),
    }

"""What an update of a hasher gains and costs, where a third of the categories arrives late.

Three ways are compared, at 64 bits, by the artifacts of a `dvc repro` of the first data set:

* `old`: the method is trained on the early categories, and codes the late ones as they come.
* `anew`: it is trained anew on all categories, and all clips are coded again.
* `updated`: the old one is updated (`chain/hasher/update.py`). The database keeps the stored codes
  of its early clips, and the late ones have codes of the updated method.

mAP@20 is strict, over the queries of all, of the early and of the late categories. The column `to
stored` has the early queries against the stored codes of the early clips alone. Another third of
the categories is late for each seed. Costs are processor seconds. The CNN is the same for all, as
one with published weights is. Table and figure are written as `benchmarks.common.publish` says.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.common import publish
from benchmarks.validation import hold_out
from chain.datasets.manifest import Roles, categories_of, label_matrix, select
from chain.figures.updates import updates
from chain.hasher.update import fine_tune, part_of
from chain.methods import method_class
from chain.methods.base import Method, MethodConfig
from chain.pipeline.recipes import UNCHANGED, read_recipe
from chain.results.table import Cell, Table
from chain.retrieval.codes import Codes, pack, take
from chain.retrieval.evaluate import evaluate
from chain.training.encode import encode_store
from chain.training.loop import build, train
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, parsed

BITS, K, PARTS = 64, 20, 3
CPU = torch.device("cpu")
COLUMNS = ["all", "early", "late", "to stored", "seconds"]

T = TypeVar("T")


@dataclass
class Clock:
    """Adds up processor seconds by the way that they are spent for."""

    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, way: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        self.seconds[way] = self.seconds.get(way, 0.0) + time.process_time() - started
        return result


def late_clips(index: pd.DataFrame, part: int) -> NDArray[np.bool_]:
    """Which clips (N,) have a category of the third that is late."""
    _, names = label_matrix(index["labels"])
    late = set(names[part % PARTS :: PARTS])
    return np.array([bool(late & set(categories_of(labels))) for labels in index["labels"]])


def trained(config: MethodConfig, method: str, store: FeatureStore, seed: int) -> Method:
    model = build(method_class(method), config, store, BITS, seed)
    with tempfile.TemporaryDirectory() as scratch:
        train(model, store, seed, CPU, Path(scratch))
    return model


def codes_of(model: Method, store: FeatureStore) -> Codes:
    ids = store.index["id"].to_numpy(dtype=np.str_)
    return Codes(ids, pack(encode_store(model, store, CPU)))


def scores(
    queries: Codes, database: Codes, index: pd.DataFrame, roles: Roles, early: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The AP@20 of each answerable query (Q,), and whether its categories are early ones."""
    labels, _ = label_matrix(index["labels"])
    query, there = select(index, roles.query), select(index, roles.database)
    found = evaluate(take(queries, query), take(database, there), labels[query], labels[there], [K])
    return found.ap_strict[K][found.answerable], early[query][found.answerable]


def one_seed(
    dataset: str, method: str, store: FeatureStore, roles: Roles, seed: int
) -> dict[str, dict[str, float]]:
    """The columns of each way."""
    recipe = read_recipe(ARTIFACTS / "recipes" / dataset / f"{method}.json")
    config = recipe.configs(len(store.train))[UNCHANGED]
    late, clock = late_clips(store.index, seed), Clock()
    early = np.flatnonzero(~late[store.train])
    old = clock.time("old", lambda: trained(config, method, part_of(store, early), seed))
    stored = codes_of(old, store)
    anew = clock.time("anew", lambda: trained(config, method, store, seed))
    anew_codes = clock.time("anew", lambda: codes_of(anew, store))
    kept = take(stored, np.flatnonzero(~late))
    updated, _ = clock.time("updated", lambda: fine_tune(old, store, kept, seed, CPU))
    fresh = codes_of(updated, store)
    mixed = Codes(stored.ids, np.where(late[:, None], fresh.codes, stored.codes))

    rows = {}
    for way, queries, database in (
        ("old", stored, stored),
        ("anew", anew_codes, anew_codes),
        ("updated", fresh, mixed),
    ):
        precision, is_early = scores(queries, database, store.index, roles, ~late)
        found = {"all": precision, "early": precision[is_early], "late": precision[~is_early]}
        if way != "anew":
            part, rest = store.index[~late], np.flatnonzero(~late)
            against = (take(queries, rest), take(stored, rest), part.reset_index(drop=True))
            found["to stored"], _ = scores(*against, roles, np.ones(len(rest), np.bool_))
        rows[way] = {name: float(ap.mean()) for name, ap in found.items()}
        rows[way]["seconds"] = clock.seconds[way]
    return rows


def table(found: list[dict[str, dict[str, float]]], caption: str) -> Table:
    """Means and standard deviations over the seeds, and the aims in the note."""
    rows = []
    for way in found[0]:
        cells: dict[str, str | Cell] = {"way": way}
        for column in COLUMNS:
            values = [rows[way][column] for rows in found if column in rows[way]]
            digits = 0 if column == "seconds" else 3
            spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
            cells[column] = Cell(f"{np.mean(values):.{digits}f}{spread}" if values else "")
        rows.append(cells)

    def ratio(way: str, rival: str, column: str) -> str:
        ratios = [rows[way][column] / rows[rival][column] for rows in found]
        return f"{np.mean(ratios):.2f}"

    to_stored = np.mean([rows["updated"]["to stored"] - rows["old"]["to stored"] for rows in found])
    note = (
        f"All queries, updated / anew: {ratio('updated', 'anew', 'all')} (aim .95). Late ones, "
        f"updated / old: {ratio('updated', 'old', 'late')} (aim 1.1). Processor seconds, updated / "
        f"anew: {ratio('updated', 'anew', 'seconds')} (aim .2). Early queries against stored codes,"
        f" updated − old: {to_stored:+.3f} (aim 0)."
    )
    return Table.of(pd.DataFrame(rows), caption, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="chain")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--validation", action="store_true", help="queries of benchmarks.validation; print only"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    datasets: Any
    (datasets,) = parameters("datasets")
    store = FeatureStore.open(ARTIFACTS / "features" / datasets[0])
    banks = {kind: bank for kind, bank in store.banks.items() if kind == "consistent"}
    store = FeatureStore(store.index, store.clean, store.train, banks)
    roles = parsed(Roles, "roles", datasets[0])
    if options.validation:
        store, roles = hold_out(store, roles, {})
    found = [
        one_seed(datasets[0], options.method, store, roles, seed) for seed in range(options.seeds)
    ]
    caption = f"{datasets[0]}, {options.method}, {BITS} bits, {len(found)} seeds"
    rows = [
        {"way": way, "seed": seed, **columns}
        for seed, ways in enumerate(found)
        for way, columns in ways.items()
    ]
    printed = table(found, caption)
    if options.validation:
        print(printed.markdown())
    else:
        publish(datasets[0], "update", printed, updates(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()

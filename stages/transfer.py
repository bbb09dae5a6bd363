"""Train on one data set, retrieve on another: every ordered pair that shares its CNN."""

import pandas as pd

from chain.analysis.transfer import evaluate_transfers, open_data_set
from chain.core.files import write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.results.grid import over_seeds
from chain.results.table import write_tables
from chain.results.transfer_table import TRANSFER, transfer_table
from chain.retrieval.config import EvaluationConfig
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, parsed, run


def transfer(bits: int) -> str:
    datasets, grid = parameters("datasets", "grid")
    topk = parsed(EvaluationConfig, "evaluation").topk
    device = set_up(parsed(RuntimeConfig, "runtime"), training=True)
    data_sets = [open_data_set(ARTIFACTS / "features" / name) for name in datasets]
    models = ARTIFACTS / "models"
    found = list(evaluate_transfers(data_sets, models, grid["methods"], bits, topk, device))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    table = over_seeds(table, "k", TRANSFER)
    write_csv(METRICS / "transfer.csv", table)
    printed = [transfer_table(table)] if len(table) else []
    notes = [] if printed else ["No two data sets of this run share a CNN."]
    write_tables(TABLES / "transfer.json", METRICS / "transfer.md", printed, notes)
    return f"transfer: {len(found)} evaluations in {METRICS}/transfer.md"


if __name__ == "__main__":
    run(transfer, "bits")

"""Train on one data set, retrieve on another: every ordered pair that shares its CNN."""

from pathlib import Path

import pandas as pd

from chain.analysis.transfer import evaluate_transfers, open_data_set
from chain.core.files import replacing, write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.results.ablation_tables import TRANSFER, transfer_markdown
from chain.results.grid import over_seeds
from chain.retrieval.config import EvaluationConfig
from stages.common import ARTIFACTS, parameters, parsed, run

METRICS = Path("metrics")


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
    with replacing(METRICS / "transfer.md") as temporary:
        temporary.write_text(transfer_markdown(table))
    return f"transfer: {len(found)} evaluations in {METRICS}/transfer.md"


if __name__ == "__main__":
    run(transfer, "bits")

"""The stage `ablations` where a data set has neither every variant nor every K."""

import json
from pathlib import Path

import pandas as pd
import pytest
from parameter_files import EXPERIMENT, write_project

from chain.core import params
from chain.core.files import write_csv, write_json
from chain.results.table import read_tables
from stages import ablations as stage

RUN_HERE = {"tasks": ["contrastive"], "preference": ["low"], "spatial": ["none", "feature"]}
"""A data set without views of weak and strong draws: the table `strength` is empty there."""


def scores(**columns: object) -> pd.DataFrame:
    """Two seeds of a database of seven clips, where K = 20 is left out."""
    rows = [(seed, k, 0.1 * (seed + 1), 0.2) for seed in (0, 1) for k in (5, 7)]
    table = pd.DataFrame(rows, columns=["seed", "k", "map_strict", "map_ssvh"])
    return table.assign(**columns)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = [*RUN_HERE, "strength"]
    changes = {"datasets": ["small"], "ablations": {"tables": tables}}
    write_project(params.merge(EXPERIMENT, changes), {})
    write_csv(Path("artifacts/evaluations/small/chain_64/map.csv"), scores())
    parameters = params.merge(EXPERIMENT["methods"]["all"], EXPERIMENT["methods"]["chain"])
    described = {"method": "chain", "feature_width": 8, "bits": 64, "parameters": parameters}
    write_json(Path("artifacts/models/small/chain_64/model.json"), described)
    for table in tables:
        folder = Path("artifacts/ablations/small", table)
        folder.mkdir(parents=True)
        if table in RUN_HERE:
            parts = [scores(variant=variant) for variant in RUN_HERE[table]]
            write_csv(folder / "map.csv", pd.concat(parts))


def test_only_what_was_run_is_shown(project: None, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[pd.DataFrame, int]] = []
    draw = stage.sensitivity
    monkeypatch.setattr(
        stage, "sensitivity", lambda points, k: (drawn.append((points, k)), draw(points, k))[1]
    )
    assert stage.ablations(64) == "ablations: 3 tables in metrics/ablations.md"
    printed = read_tables(Path("artifacts/tables/ablations.json"))
    names = [[row[0].text for row in table.rows] for table in printed]
    assert names == [["default", *RUN_HERE[table]] for table in RUN_HERE]
    assert all(table.header[-2:] == ("mAP@5", "mAP@7") for table in printed)
    ((points, k),) = drawn
    assert k == 7
    by_parameter = points.groupby("parameter")["value"].apply(sorted).to_dict()
    assert by_parameter == {"AP preference": [1.0, 4.0], "augmentation strength": [0.0, 1.0]}
    assert Path("plots/ablations/sensitivity_small.png").exists()


def test_no_ablation_was_run(project: None) -> None:
    Path("artifacts/ablations").rename("elsewhere")
    assert stage.ablations(64) == "ablations: 0 tables in metrics/ablations.md"
    assert Path("metrics/ablations.md").read_text() == "No ablation was run.\n"
    assert json.loads(Path("artifacts/tables/ablations.json").read_text()) == []

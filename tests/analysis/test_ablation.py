"""A training by the features in a folder, and a whole variant: trained, encoded, evaluated."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor

from chain.analysis import ablation as ablations
from chain.analysis.ablation import run_variant
from chain.core.errors import InputError
from chain.core.runtime import RuntimeConfig
from chain.datasets.manifest import Roles
from chain.methods import method_config
from chain.methods.chain import Chain
from chain.retrieval.codes import Codes, pack
from chain.retrieval.evaluate import evaluate
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import Run, train, train_run
from chain.views.store import FeatureStore

CPU = torch.device("cpu")
FRAMES, WIDTH, DENSE, VIEWS, EPOCHS, STEPS = 4, 10, 7, 2, 3, 2
ROLES = Roles(train="train", database="database", query="query")
MACHINE = RuntimeConfig(
    device="cpu", threads=1, training_threads=1, workers=1, recompute=False, engine="threads"
)
TOPK = [1, 5]
CHAIN = {
    "frames": FRAMES,
    "encoder": {"kind": "transformer", "width": 8, "depth": 1, "heads": 2, "dropout": 0.1},
    "sampling": "segment",
    "spatial": "consistent",
    "stand_in": {"kind": "mix", "strength": 0.5},
    "weights": {"contrastive": 1.0, "order": 0.5, "scene": 0.25},
    "temperature": 0.5,
    "tau_plus": 0.1,
    "order": {"share": 0.5, "positions": True, "read": "states"},
    "scene": {"read": "states", "preference": 1.0, "damping": 0.5, "temperature": 0.2},
    "training": training(epochs=EPOCHS),
}


@pytest.fixture(autouse=True)
def torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CHAIN_DEVICE", "CHAIN_THREADS"):
        monkeypatch.delenv(name, raising=False)
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """CHAIN on what the stage `features` writes of 24 clips, their splits and labels mingled."""
    folder, random = tmp_path / "features", np.random.default_rng(0)
    folder.mkdir()
    splits = np.array(["train", "database", "train", "query", "database", ""] * 4)
    labels = np.array([["a", "b", "a;b", "b", "c", "a"][k % 6] for k in range(24)])
    labels[[3, 9, 15, 21]] = ["c;a", "b", "c", "z"]  # the database has no z
    ids = [f"{k:03d}" for k in range(24)]
    ids[9] = "NA"
    pd.DataFrame({"id": ids, "labels": labels, "split": splits}).to_csv(
        folder / "index.csv", index=False
    )
    rows = np.flatnonzero(splits == "train")
    clean = random.normal(size=(24, DENSE, WIDTH)).astype(np.float16)
    np.save(folder / "clean.npy", clean)
    np.save(folder / "train.npy", rows)
    np.save(
        folder / "bank_consistent.npy",
        clean[rows, None] + random.normal(size=(8, VIEWS, DENSE, WIDTH)).astype(np.float16),
    )
    return Run("chain", method_config("chain", CHAIN), folder, 16, seed=5)


def variant(run: Run, scratch: Path) -> dict[str, pd.DataFrame]:
    return run_variant(run, ROLES, TOPK, MACHINE, scratch)


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert list(found) == list(expected) == ["map", "queries"]
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table)


def trained_by_hand(run: Run, scratch: Path) -> tuple[Chain, pd.DataFrame]:
    store = FeatureStore.open(run.features)
    torch.manual_seed(run.seed)
    model = Chain(method_config("chain", CHAIN), WIDTH, run.bits)  # type: ignore[arg-type]
    model.fit(store)
    scratch.mkdir()
    return model, train(model, store, run.seed, CPU, scratch)


class Steps:
    """Counts CHAIN's training steps, and can kill the process at one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int | None = None) -> None:
        self.count = 0
        losses = Chain.losses

        def counted(model: Chain, *batch: Tensor) -> dict[str, Tensor]:
            if self.count == last:
                raise KeyboardInterrupt
            self.count += 1
            return losses(model, *batch)

        monkeypatch.setattr(Chain, "losses", counted)


# Run and train_run


def test_train_run_is_built_and_trained_by_seed(run: Run, tmp_path: Path) -> None:
    expected, history = trained_by_hand(run, tmp_path / "by_hand")
    (tmp_path / "scratch").mkdir()
    torch.manual_seed(99)
    model, again = train_run(run, MACHINE, tmp_path / "scratch")
    assert type(model) is Chain and model.bits == 16
    assert again.equals(history) and len(again) == EPOCHS
    theirs = expected.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())

    other, _ = train_run(replace(run, seed=6), MACHINE, tmp_path / "scratch")
    assert not torch.equal(other.state_dict()["hash.linear.weight"], theirs["hash.linear.weight"])


def test_train_run_takes_the_threads_of_a_training(run: Run, tmp_path: Path) -> None:
    machine = RuntimeConfig(
        device="cpu", threads=1, training_threads=2, workers=1, recompute=False, engine="threads"
    )
    lsh = replace(run, method="lsh", config=method_config("lsh", {"frames": FRAMES}))
    _, history = train_run(lsh, machine, tmp_path)
    assert torch.get_num_threads() == 2
    assert history.empty


def test_a_run_does_not_change(run: Run) -> None:
    with pytest.raises(FrozenInstanceError):
        run.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("missing", "message"),
    [("index.csv", "no such file"), ("bank_consistent.npy", "hold no 'consistent' bank")],
)
def test_features_that_lack_something(run: Run, tmp_path: Path, missing: str, message: str) -> None:
    (run.features / missing).unlink()
    with pytest.raises(InputError, match=message):
        variant(run, tmp_path / "scratch")


# A variant


def test_tables_are_those_of_training_encoding_and_evaluating(run: Run, tmp_path: Path) -> None:
    found = variant(run, tmp_path / "scratch")

    model, _ = trained_by_hand(run, tmp_path / "by_hand")
    store = FeatureStore.open(run.features)
    packed = pack(encode_store(model, store, CPU))
    query, database = np.array([3, 9, 15, 21]), np.array([1, 4, 7, 10, 13, 16, 19, 22])
    categories = ["a", "b", "c", "z"]
    labels = np.array(
        [[c in text.split(";") for c in categories] for text in store.index["labels"]]
    )
    ids = store.index["id"].to_numpy().astype(str)
    expected = evaluate(
        Codes(ids[query], packed[query]),
        Codes(ids[database], packed[database]),
        labels[query],
        labels[database],
        TOPK,
    )
    scores = found["map"]
    assert list(scores.columns) == ["k", "map_strict", "map_ssvh"] and scores["k"].tolist() == TOPK
    assert scores["map_strict"].tolist() == pytest.approx(list(expected.map_strict.values()), 1e-5)
    assert scores["map_ssvh"].tolist() == pytest.approx(list(expected.map_ssvh.values()), 1e-5)
    queries = found["queries"]
    assert list(queries.columns) == ["id", "ap1", "ap5"]
    assert queries["id"].tolist() == ["003", "NA", "015"]  # text; and the last has no answer
    for k in TOPK:
        assert queries[f"ap{k}"].tolist() == pytest.approx(expected.ap_strict[k][:3], rel=1e-5)
    assert scores["map_strict"].min() > 0 and scores["map_strict"].max() < 1


def test_what_is_done_is_not_done_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = variant(run, tmp_path / "scratch")
    with monkeypatch.context() as patch:
        patch.setattr(ablations, "train_run", None)
        assert_same(variant(run, tmp_path / "scratch"), first)
    steps = Steps(monkeypatch)
    assert_same(variant(run, tmp_path / "other"), first)
    assert steps.count == EPOCHS * STEPS


@pytest.mark.parametrize("name", ["map.csv", "queries.csv"])
def test_half_of_the_tables_is_not_enough(run: Run, tmp_path: Path, name: str) -> None:
    first = variant(run, tmp_path / "scratch")
    (tmp_path / "scratch" / name).unlink()
    assert_same(variant(run, tmp_path / "scratch"), first)


def test_a_killed_training_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = variant(run, tmp_path / "whole")
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    scratch = tmp_path / "killed"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Steps(patch, last=3)  # in the second epoch
        variant(run, scratch)
    assert [path.name for path in scratch.iterdir()] == ["checkpoint_5.pt"]
    steps = Steps(monkeypatch)
    assert_same(variant(run, scratch), expected)
    assert steps.count == (EPOCHS - 1) * STEPS


def test_killed_after_training_nothing_is_trained_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = variant(run, tmp_path / "whole")
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(ablations, "encode_store", None)
        variant(run, tmp_path / "killed")
    steps = Steps(monkeypatch)
    assert_same(variant(run, tmp_path / "killed"), expected)
    assert steps.count == 0


def test_another_seed_gives_other_tables(run: Run, tmp_path: Path) -> None:
    first, second = (variant(replace(run, seed=s), tmp_path / str(s)) for s in (5, 6))
    assert not first["queries"].equals(second["queries"])
    assert first["queries"]["id"].tolist() == second["queries"]["id"].tolist()


def test_a_role_without_clips(run: Run, tmp_path: Path) -> None:
    roles = Roles(train="train", database="database", query="test")
    with pytest.raises(InputError, match=r"no clip is in split 'test'"):
        run_variant(run, roles, TOPK, MACHINE, tmp_path / "scratch")
    assert not list((tmp_path / "scratch").glob("*.csv"))

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.methods.base import Method, MethodConfig, TrainingConfig
from chain.methods.conmh import ConMH, ConMHConfig
from chain.methods.lsh import LSH, LSHConfig
from chain.models.transformer import TransformerConfig
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import batches, build, learning_rate, train
from chain.views.store import FeatureStore

CPU = torch.device("cpu")
TRAINING = TrainingConfig(**training(epochs=4))


def config(**changes: object) -> ConMHConfig:
    size = TransformerConfig(width=16, depth=1, heads=2)
    return ConMHConfig(
        frames=4,
        encoder=size,
        decoder=size,
        mask_ratio=0.5,
        contrastive_weight=1.0,
        temperature=0.5,
        tau_plus=0.1,
        training=TRAINING.model_copy(update=changes),
    )


class Probe(Method):
    """One weight whose gradient is 1, and a record of what training asks of a method."""

    Config = MethodConfig

    def __init__(self, config: MethodConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.weight = nn.Parameter(torch.zeros(()))
        self.fitted = 0
        self.rows: list[list[int]] = []
        self.noise: list[float] = []

    def fit(self, store: FeatureStore) -> None:
        self.fitted += 1

    def draw(self, store, rows, random):  # type: ignore[no-untyped-def]
        self.rows.append(rows.tolist())
        return torch.from_numpy(random.random(3)), torch.tensor(float(len(self.rows)))

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        assert self.training
        self.noise.append(float(batch[0].sum() + torch.rand(())))
        return {"loss": self.weight + batch[1], "part": 2 * batch[1]}

    def encode(self, features: Tensor) -> Tensor:
        assert not self.training
        return features.mean(dim=1)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Twelve clips, of which eleven are for training: two batches of four, and one of three."""
    clean = np.random.default_rng(0).normal(size=(12, 6, 8)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(12)}), clean, np.arange(1, 12), {})


def probe(store: FeatureStore, **changes: object) -> Probe:
    model = build(
        Probe, MethodConfig(frames=3, training=TRAINING.model_copy(update=changes)), store, 8, 0
    )
    assert isinstance(model, Probe)
    return model


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_build_is_seeded_and_fits_once(store: FeatureStore) -> None:
    assert probe(store).fitted == 1
    first, second, other = (build(ConMH, config(), store, 16, seed) for seed in (5, 5, 6))
    assert same(first, second) and not same(first, other)


def test_every_epoch_visits_each_clip_once(store: FeatureStore, tmp_path: Path) -> None:
    model = probe(store)
    train(model, store, 0, CPU, tmp_path)
    assert [len(rows) for rows in model.rows] == 4 * [4, 4, 3]
    assert all(rows == sorted(rows) for rows in model.rows)
    epochs = [np.concatenate(model.rows[k : k + 3]).tolist() for k in range(0, 12, 3)]
    assert all(sorted(rows) == list(range(11)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 4
    assert len(set(model.noise)) == 12


@pytest.mark.parametrize(
    ("clips", "size", "expected"),
    [
        (8, 4, [4, 4]),
        (9, 4, [4, 5]),  # a single clip has nothing to be contrasted with
        (10, 4, [4, 4, 2]),
        (4, 4, [4]),
        (5, 4, [5]),
        (6, 4, [4, 2]),
        (7, 2, [2, 2, 3]),
    ],
)
def test_batches_keep_the_rest(clips: int, size: int, expected: list[int]) -> None:
    order = np.random.default_rng(0).permutation(clips)
    parts = batches(order, size)
    assert [len(part) for part in parts] == expected
    assert sorted(np.concatenate(parts).tolist()) == list(range(clips))
    assert set(parts[0].tolist()) == set(order[: expected[0]].tolist())


def test_history_has_the_mean_of_each_part(store: FeatureStore, tmp_path: Path) -> None:
    model = probe(store, optimiser="adam", lr=1e-9)
    history = train(model, store, 0, CPU, tmp_path)
    assert list(history.columns) == ["epoch", "lr", "loss", "part"]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(history["loss"], [2, 5, 8, 11], rtol=1e-6)
    np.testing.assert_allclose(history["part"], [4, 10, 16, 22], rtol=1e-6)


def test_same_seed_same_weights_whatever_came_before(store: FeatureStore, tmp_path: Path) -> None:
    results = []
    for number, seed in enumerate((3, 3, 4)):
        model = build(ConMH, config(), store, 16, 0)
        torch.manual_seed(number)
        np.random.seed(number)
        scratch = tmp_path / str(number)
        scratch.mkdir()
        results.append((model, train(model, store, seed, CPU, scratch)))
    (first, history), (second, again), (other, _) = results
    assert same(first, second) and history.equals(again)
    assert not same(first, other)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
def test_resumed_run_ends_in_the_same_weights(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    def start() -> Method:
        return build(ConMH, config(optimiser=optimiser, weight_decay=0.01), store, 16, 0)

    (tmp_path / "whole").mkdir()
    whole = start()
    history = train(whole, store, 7, CPU, tmp_path / "whole")

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    killed, calls = start(), []
    losses = killed.losses

    def killed_in_the_third_epoch(*batch: Tensor) -> dict[str, Tensor]:
        calls.append(0)
        if len(calls) == 8:  # after the first step of epoch 3
            raise KeyboardInterrupt
        return losses(*batch)

    monkeypatch.setattr(killed, "losses", killed_in_the_third_epoch)
    scratch = tmp_path / "killed"
    scratch.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(killed, store, 7, CPU, scratch)
    assert not same(killed, whole)
    assert [path.name for path in scratch.iterdir()] == ["checkpoint_7.pt"]

    steps = []
    resumed = start()
    draw = resumed.draw
    monkeypatch.setattr(resumed, "draw", lambda *a: steps.append(0) or draw(*a))
    torch.manual_seed(99)
    assert train(resumed, store, 7, CPU, scratch).equals(history)
    assert same(resumed, whole)
    assert len(steps) == 6  # epochs 3 and 4 alone


def test_checkpoints_of_another_seed_are_left_alone(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    train(probe(store), store, 1, CPU, tmp_path)
    model = probe(store)
    train(model, store, 2, CPU, tmp_path)
    assert len(model.rows) == 12


def test_batch_larger_than_the_training_set(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch is 12, but there are only 11 training clips"):
        train(probe(store, batch=12), store, 0, CPU, tmp_path)
    train(probe(store, batch=11), store, 0, CPU, tmp_path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_loss_that_is_no_number(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    model = probe(store)
    losses = model.losses

    def diverging(*batch: Tensor) -> dict[str, Tensor]:
        parts = losses(*batch)
        return parts | {"loss": parts["loss"] * (value if len(model.rows) == 4 else 1.0)}

    monkeypatch.setattr(model, "losses", diverging)
    with pytest.raises(InputError, match=r"no longer a number in epoch 2; lower training.lr"):
        train(model, store, 0, CPU, tmp_path)
    saved = torch.load(tmp_path / "checkpoint_0.pt", weights_only=True)
    assert saved["epoch"] == 1  # the broken weights are never saved


def test_diverged_weights_do_not_pass_unseen(store: FeatureStore, tmp_path: Path) -> None:
    """The codes are signs: they would look sound whatever the weights."""
    model = build(ConMH, config(epochs=1), store, 16, 0)
    with torch.no_grad():
        model.project.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="no longer a number"):
        train(model, store, 0, CPU, tmp_path)


def test_step_schedule_by_hand() -> None:
    step = TRAINING.model_copy(update={"lr": 1e-4, "floor": 1e-5, "epochs": 800})
    by_hand = {0: 1e-4, 19: 1e-4, 20: 9e-5, 39: 9e-5, 40: 8.1e-5, 60: 7.29e-5, 799: 1e-5}
    for epoch, rate in by_hand.items():
        assert learning_rate(step, epoch) == pytest.approx(rate, rel=1e-12)


def test_cosine_schedule_by_hand() -> None:
    cosine = TRAINING.model_copy(
        update={"schedule": "cosine", "lr": 1.0, "floor": 0.2, "epochs": 12}
    )
    by_hand = {0: 1.0, 3: 0.6 + 0.4 * 0.5**0.5, 4: 0.8, 6: 0.6, 8: 0.4}
    for epoch, rate in by_hand.items():
        assert learning_rate(cosine, epoch) == pytest.approx(rate)
    rates = [learning_rate(cosine, epoch) for epoch in range(12)]
    assert rates == sorted(rates, reverse=True) and 0.2 < rates[-1] < 0.22


def test_schedule_reaches_the_optimiser(store: FeatureStore, tmp_path: Path) -> None:
    """Adam under a constant gradient moves a weight by the learning rate at each step."""
    model = probe(store, schedule="cosine", lr=0.1)
    history = train(model, store, 0, CPU, tmp_path)
    expected = [0.1 * 0.5 * (1 + np.cos(np.pi * epoch / 4)) for epoch in range(4)]
    np.testing.assert_allclose(history["lr"], expected)
    assert -float(model.weight.detach()) == pytest.approx(3 * sum(expected), rel=1e-4)


class Twice(Probe):
    """Trains for two epochs, and for two more from a fresh weight; its gradient shrinks then."""

    def phase_start(self, epoch: int) -> int:
        return 2 if epoch >= 2 else 0

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        self.factor = 1.0 if epoch < 2 else 1e-6
        if epoch == 2:
            self.weight.detach().zero_()

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        return {"loss": self.factor * super().losses(*batch)["loss"]}


@pytest.mark.parametrize("stop", [None, 4, 7, 10])
def test_second_training_has_a_fresh_optimiser_and_rate(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None
) -> None:
    """With what Adam knows of the first training's gradients, the second's would move nothing."""
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    changes = TRAINING.model_copy(update={"schedule": "cosine", "lr": 0.1})

    def start() -> Probe:
        model = build(Twice, MethodConfig(frames=3, training=changes), store, 8, 0)
        assert isinstance(model, Probe)
        return model

    if stop is not None:
        killed = start()
        draw = killed.draw

        def interrupted(*arguments: object) -> object:
            if len(killed.rows) == stop:
                raise KeyboardInterrupt
            return draw(*arguments)  # type: ignore[no-untyped-call]

        monkeypatch.setattr(killed, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(killed, store, 0, CPU, tmp_path)
    model = start()
    history = train(model, store, 0, CPU, tmp_path)
    rates = [0.1, 0.1 * 0.5 * (1 + np.cos(np.pi / 4))]
    np.testing.assert_allclose(history["lr"], rates * 2)
    moved = -float(model.weight.detach())
    assert moved == pytest.approx(3 * sum(rates), rel=0.05)  # Adam's ε counts a little here


def test_bf16_trains_near_fp32(store: FeatureStore, tmp_path: Path) -> None:
    for name in ("bf16", "fp32"):
        (tmp_path / name).mkdir()
    half = build(ConMH, config(precision="bf16"), store, 16, 0)
    full = build(ConMH, config(), store, 16, 0)
    rough = train(half, store, 0, CPU, tmp_path / "bf16")
    exact = train(full, store, 0, CPU, tmp_path / "fp32")
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    assert not same(half, full)
    np.testing.assert_allclose(rough["reconstruction"], exact["reconstruction"], rtol=0.1)


def test_method_without_training_is_left_as_it_is(store: FeatureStore, tmp_path: Path) -> None:
    model = build(LSH, LSHConfig(frames=3), store, 16, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert train(model, store, 0, CPU, tmp_path).empty
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("batch", [1, 5, 12, 100])
def test_encode_store_gives_every_clip_in_order(store: FeatureStore, batch: int) -> None:
    model = probe(store).train()
    codes = encode_store(model, store, CPU, batch)
    assert codes.shape == (12, 8) and codes.dtype == np.float32
    expected = store.clean[:, [1, 3, 5]].astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(codes, expected, rtol=1e-5, atol=1e-6)

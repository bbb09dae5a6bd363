"""What the docstring of `Method` asks, of every method of the registry."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_methods import LEARNED, lowers_its_loss, small, small_store, without_dropout
from torch import Tensor, nn

from chain.methods import METHODS, method_class, method_config
from chain.methods.base import Method, MethodConfig
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import build, train

CPU = torch.device("cpu")
BITS, EPOCHS, STEPS = 8, 4, 3
ROWS = np.arange(12)
STORE = small_store()


def start(name: str) -> Method:
    config = method_config(name, small(name, epochs=EPOCHS))
    return build(method_class(name), config, STORE, BITS, 0)


def epochs(model: Method) -> Iterator[int]:
    """Every phase of a method: it is prepared for one epoch after the other."""
    for epoch in range(EPOCHS):
        torch.manual_seed(epoch)
        model.start_epoch(epoch, STORE)
        yield epoch


# Modules that treat rows one by one


@contextmanager
def children_alone(model: Method) -> Iterator[list[tuple[str, Any, Any, Any]]]:
    """Collects the calls of direct children: name, arguments, keywords and output.

    It fails where a module inside a child is called, but not by the child.
    """
    calls: list[tuple[str, Any, Any, Any]] = []
    running: list[str] = []
    handles = []
    for name, module in model.named_modules():
        if not name:
            continue
        if "." in name:

            def inside(module: nn.Module, inputs: Any, name: str = name) -> None:
                assert running, f"{name} is called past its parent"

            handles.append(module.register_forward_pre_hook(inside))
            continue

        def enter(module: nn.Module, inputs: Any, name: str = name) -> None:
            running.append(name)

        def leave(
            module: nn.Module, inputs: Any, keywords: Any, output: Any, name: str = name
        ) -> None:
            running.pop()
            calls.append((name, inputs, keywords, output))

        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave, with_kwargs=True))
    yield calls
    for handle in handles:
        handle.remove()


@torch.no_grad()
def check_children(model: Method, batch: tuple[Tensor, ...]) -> None:
    """In training mode, but without dropout, whose masks differ from call to call.

    Batch normalisation may look at all rows, and so uses its running statistics here.
    """
    without_dropout(model).train().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
    with children_alone(model) as calls:
        model.losses(*(each.double() if each.is_floating_point() else each for each in batch))
    assert calls
    for name, (first, *others), keywords, output in calls:
        assert isinstance(output, Tensor) and len(output) == len(first), name
        for row in range(len(first)):
            alone = model.get_submodule(name)(first[row : row + 1], *others, **keywords)
            torch.testing.assert_close(alone[0], output[row], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("name", LEARNED)
def test_children_treat_rows_one_by_one_and_give_one_tensor(name: str) -> None:
    model = start(name)
    for epoch in epochs(model):
        batch = model.draw(STORE, ROWS, np.random.default_rng(epoch))
        check_children(model, batch)
        model.float()


class Centred(nn.Module):
    """Looks at all rows at once."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


class Broken(Method):
    """Breaks the rule in one of four ways."""

    def __init__(self, way: str) -> None:
        super().__init__(MethodConfig(frames=4), 8, BITS)
        self.way = way
        self.rows = Centred()
        self.tensor = nn.LSTM(8, 8, batch_first=True)
        self.past = nn.Sequential(nn.Linear(8, 8))
        self.fewer = nn.Flatten(0, 1)

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        broken = self.past[0] if self.way == "past" else getattr(self, self.way)
        broken(batch[0])
        return {}

    def encode(self, features: Tensor) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize("way", ["rows", "tensor", "past", "fewer"])
def test_the_check_finds_broken_children(way: str) -> None:
    features = STORE.clean_frames(STORE.train[:3], 4)
    with pytest.raises(AssertionError, match=way):
        check_children(Broken(way), (features,))


# Draws


@pytest.mark.parametrize("name", LEARNED)
def test_draw_has_no_randomness_but_its_generator(name: str) -> None:
    model = start(name)
    for _ in epochs(model):
        draws = []
        for elsewhere, seed in ((1, 0), (2, 0), (1, 3)):
            torch.manual_seed(elsewhere)
            np.random.seed(elsewhere)
            random.seed(elsewhere)
            draws.append(model.draw(STORE, ROWS, np.random.default_rng(seed)))
        first, again, other = draws
        assert len(first) == len(again)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(first, again, strict=True))
        assert not all(torch.equal(ours, theirs) for ours, theirs in zip(first, other, strict=True))
        assert all(tensor.device == CPU for tensor in first)


@pytest.mark.parametrize("name", LEARNED)
def test_twenty_steps_lower_the_loss_of_every_phase(name: str) -> None:
    model = start(name)
    for epoch in epochs(model):
        batch = model.draw(STORE, ROWS, np.random.default_rng(epoch))
        assert lowers_its_loss(model, batch)


# Whole trainings


def same(first: Method, second: Method) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def stop_after(steps: int, model: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the step that follows the first `steps`."""
    losses, calls = model.losses, count()

    def interrupted(*batch: Tensor) -> dict[str, Tensor]:
        if next(calls) == steps:
            raise KeyboardInterrupt
        return losses(*batch)

    monkeypatch.setattr(model, "losses", interrupted)


@pytest.mark.parametrize("name", LEARNED)
def test_stopped_in_any_epoch_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "whole").mkdir()
    whole = start(name)
    history = train(whole, STORE, 7, CPU, tmp_path / "whole")

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    for epoch in range(1, EPOCHS):
        scratch = tmp_path / str(epoch)
        scratch.mkdir()
        killed = start(name)
        stop_after(epoch * STEPS + 1, killed, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train(killed, STORE, 7, CPU, scratch)
        assert not same(killed, whole)

        resumed = start(name)
        torch.manual_seed(99)
        assert train(resumed, STORE, 7, CPU, scratch).equals(history)
        assert same(resumed, whole)


@pytest.mark.parametrize("name", METHODS)
def test_fresh_model_encodes_with_loaded_weights(tmp_path: Path, name: str) -> None:
    trained = start(name)
    initial = encode_store(trained, STORE, CPU)
    train(trained, STORE, 7, CPU, tmp_path)
    codes = encode_store(trained, STORE, CPU)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(1)
    fresh = method_class(name)(trained.config, STORE.width, BITS)
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert np.array_equal(encode_store(fresh, STORE, CPU), codes)
    assert np.array_equal(codes, initial) == (name not in LEARNED) and np.isfinite(codes).all()

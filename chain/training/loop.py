"""The one training loop of all methods. It is seeded, resumable and reproducible bit for bit."""

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from chain.core.errors import UNFINISHED, InputError
from chain.core.files import replacing
from chain.core.runtime import RuntimeConfig, return_freed_memory, set_up
from chain.core.tensors import load_tensors, save_tensors
from chain.methods import method_class
from chain.methods.base import Method, MethodConfig, TrainingConfig
from chain.models.transformer import recompute_blocks
from chain.training import distributed
from chain.views.store import FeatureStore

log = logging.getLogger(__name__)

SECONDS_BETWEEN_CHECKPOINTS = 10


@dataclass(frozen=True)
class Run:
    """One training: a method at one code length from one seed, on the features in a folder."""

    method: str
    config: MethodConfig
    features: Path
    bits: int
    seed: int


def train_run(run: Run, runtime: RuntimeConfig, scratch: Path) -> tuple[Method, pd.DataFrame]:
    """The trained model and its history; training goes on from a checkpoint in `scratch`."""
    device = distributed.local(set_up(runtime, training=True))
    store = FeatureStore.open(run.features)
    model = build(method_class(run.method), run.config, store, run.bits, run.seed)
    if runtime.recompute:
        recompute_blocks(model)
        return_freed_memory()
    with distributed.shared_layers(model):
        return model, train(model, store, run.seed, device, scratch)


def train_and_save(run: Run, runtime: RuntimeConfig, scratch: Path, out: Path) -> pd.DataFrame:
    """Train, write the weights to `seed_<n>.pt` in `out`, and return the history with its seed."""
    model, history = train_run(run, runtime, scratch)
    save_tensors(out / f"seed_{run.seed}.pt", model.cpu().state_dict())
    return history.assign(seed=run.seed)


def build(
    method: type[Method], config: MethodConfig, store: FeatureStore, bits: int, seed: int
) -> Method:
    """A freshly initialised method that has seen the training features (`fit`)."""
    torch.manual_seed(seed)
    model = method(config, store.width, bits)
    model.fit(store)
    return model


def train(
    model: Method, store: FeatureStore, seed: int, device: torch.device, scratch: Path
) -> pd.DataFrame:
    """Train `model` in place, and return its history.

    The history has a row for each epoch, with the columns epoch, lr, loss and the parts of the
    loss; it is empty for a method that learns nothing by gradient. Each step is seeded by (seed,
    epoch, step) alone. So a run that resumes from the checkpoint in `scratch` ends in the same
    weights as one that was never stopped. Of several processes (`chain/training/distributed.py`),
    only the first reads and writes there. InputError if the training set is smaller than a batch,
    or the loss stops being a number.
    """
    config = model.config.training
    model.to(device)
    if config is None:
        return pd.DataFrame()
    if len(store.train) < config.batch:
        raise InputError(
            f"training.batch is {config.batch}, but there are only {len(store.train)} training "
            "clips; lower it or add clips"
        )
    steps = len(batches(np.arange(len(store.train)), config.batch))
    optimiser = _optimiser(model, config)
    checkpoint = scratch / f"checkpoint_{seed}.pt"
    start, history = 0, []
    first, saved = distributed.rank() == 0, None
    if first and checkpoint.exists():
        saved = load_tensors(checkpoint, "a checkpoint", remedy=UNFINISHED)
    saved = distributed.from_first(saved)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        start, history = saved["epoch"], saved["history"]
        log.info("resuming seed %d after epoch %d", seed, start)

    model.train()
    saved_at = time.monotonic()
    bar = tqdm if first else partial(tqdm, disable=True)
    progress = bar(
        total=config.epochs * steps, initial=start * steps, unit="step", desc=f"seed {seed}"
    )
    for epoch in range(start, config.epochs):
        first_epoch = model.phase_start(epoch)
        if epoch == first_epoch:
            optimiser = _optimiser(model, config)
        rate = learning_rate(config, epoch - first_epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(store.train))
        torch.manual_seed(int(generator.integers(2**62)))
        model.start_epoch(epoch, store)
        sums: dict[str, Tensor] = {}
        for step, rows in enumerate(batches(order, config.batch)):
            random = np.random.default_rng([seed, epoch, step])
            # Each process has another seed, so that dropout does not treat their rows alike.
            torch.manual_seed(int(random.integers(2**62)) + distributed.rank())
            batch = [tensor.to(device) for tensor in model.draw(store, rows, random)]
            with _autocast(config, device):
                parts = model.losses(*batch)
            optimiser.zero_grad(set_to_none=True)
            parts["loss"].backward()  # type: ignore[no-untyped-call]
            del batch  # half a gigabyte at the published size, which the next batch needs
            distributed.sum_gradients(model)
            optimiser.step()
            for name, value in parts.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value.detach()
            progress.update()
        means = {name: float(value) / steps for name, value in sums.items()}
        if not np.isfinite(means["loss"]):
            raise InputError(
                f"the loss is no longer a number in epoch {epoch + 1}; lower training.lr"
            )
        history.append({"epoch": epoch + 1, "lr": rate, **means})
        progress.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        if first and time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            _save(checkpoint, model, optimiser, epoch + 1, history)
            saved_at = time.monotonic()
    progress.close()
    return pd.DataFrame(history)


def batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """The steps of an epoch: `order` (M,) in parts of `size`, each sorted.

    The last part has what is left. If that is a single one, it joins the part before.
    """
    cuts = range(size, len(order) - 1, size)
    return [np.sort(part) for part in np.split(order, cuts)]


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch (from 0)."""
    if config.schedule == "step":
        return max(config.lr * 0.9 ** (epoch // 20), config.floor)
    share = 0.5 * (1 + np.cos(np.pi * epoch / config.epochs))
    return float(config.floor + (config.lr - config.floor) * share)


def _optimiser(model: Method, config: TrainingConfig) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
    return kind(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[Any]:
    if config.precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _save(
    path: Path,
    model: Method,
    optimiser: torch.optim.Optimizer,
    epoch: int,
    history: list[dict[str, float]],
) -> None:
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "epoch": epoch,
        "history": history,
    }
    with replacing(path) as temporary:
        save_tensors(temporary, state)

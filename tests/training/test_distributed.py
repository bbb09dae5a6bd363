"""Training by several processes against training by one. Dropout is off: its masks would differ."""

import itertools
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
import yaml
from numpy.typing import NDArray
from small_methods import LEARNED, small, small_store, without_dropout
from torch import Tensor, nn

from chain.core.processes import side_by_side
from chain.methods import method_class, method_config
from chain.methods.base import Method
from chain.methods.chain import Chain
from chain.pipeline.recipes import UNCHANGED, write_recipe
from chain.training import distributed, loop
from chain.training.loop import build, train
from stages.train import train_cell

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
BITS = 16


def start(name: str, **training: Any) -> Method:
    config = method_config(name, small(name, **training))
    return without_dropout(build(method_class(name), config, small_store(), BITS, 0))


def on_ranks(task: Any, world: int, folder: Path, *arguments: Any) -> list[Any]:
    """What `task(*arguments)` returns in each of `world` processes."""
    folder.mkdir(exist_ok=True)
    jobs = [(task, rank, world, folder / "meeting", *arguments) for rank in range(world)]
    return side_by_side(_on_rank, jobs, world)


def _on_rank(task: Any, rank: int, world: int, meeting: Path, *arguments: Any) -> Any:
    torch.set_num_threads(1)
    wait = timedelta(seconds=20)
    dist.init_process_group("gloo", f"file://{meeting}", wait, world, rank)
    try:
        return task(*arguments)
    finally:
        dist.destroy_process_group()


def gradients(name: str, clips: int = 12) -> dict[str, NDArray[np.float64]]:
    """Loss parts and gradients of one step of the last phase, in double precision."""
    model, features = start(name).train(), small_store()
    for epoch in range(2):
        torch.manual_seed(epoch)
        model.start_epoch(epoch, features)
    batch = model.draw(features, np.arange(clips), np.random.default_rng(1))
    model.double()
    with distributed.shared_layers(model):
        parts = model.losses(
            *(each.double() if each.is_floating_point() else each for each in batch)
        )
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        distributed.sum_gradients(model)
    found = {name: part.detach().numpy() for name, part in parts.items()}
    return found | {
        f"{name}'": one.grad.numpy()
        for name, one in model.named_parameters()
        if one.grad is not None
    }


@pytest.mark.parametrize("name", LEARNED)
def test_the_gradient_is_that_of_one_process(tmp_path: Path, name: str) -> None:
    alone = gradients(name)
    assert all(np.abs(alone[part]).max() > 1e-3 for part in alone if not part.endswith("'"))
    first, second = on_ranks(gradients, 2, tmp_path, name)
    for part, value in alone.items():
        np.testing.assert_allclose(first[part], value, rtol=1e-9, atol=1e-12, err_msg=part)
        np.testing.assert_array_equal(first[part], second[part])


def test_three_processes(tmp_path: Path) -> None:
    alone = gradients("conmh")
    for found in on_ranks(gradients, 3, tmp_path, "conmh"):
        for part, value in alone.items():
            np.testing.assert_allclose(found[part], value, rtol=1e-9, atol=1e-12, err_msg=part)


@pytest.mark.parametrize(("world", "clips"), [(2, 7), (3, 5), (3, 4), (4, 2)])
def test_rows_that_can_not_be_split_evenly(tmp_path: Path, world: int, clips: int) -> None:
    """Of two rows, two of four processes have none."""
    alone = gradients("conmh", clips)
    for found in on_ranks(gradients, world, tmp_path, "conmh", clips):
        for part, value in alone.items():
            np.testing.assert_allclose(found[part], value, rtol=1e-9, atol=1e-12, err_msg=part)


def statistics() -> tuple[list[int], dict[str, NDArray[Any]]]:
    """Rows that MCMSH's layers see in a step, and its running statistics after it."""
    model, features, seen = start("mcmsh").train(), small_store(), []
    model.start_epoch(0, features)
    batch = model.draw(features, np.arange(12), np.random.default_rng(1))
    for layer in (model.project, model.mixer):
        assert isinstance(layer, nn.Module)
        layer.register_forward_hook(lambda *a: seen.append(len(a[1][0])))
    with distributed.shared_layers(model):
        model.losses(*batch)
    return seen, {name: value.numpy() for name, value in model.named_buffers()}


def test_batch_normalisation_sees_all_rows(tmp_path: Path) -> None:
    rows, alone = statistics()
    assert rows == [60, 12]  # the second has five passes
    for seen, found in on_ranks(statistics, 2, tmp_path):
        assert seen == [30, 12]
        for name, value in alone.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def rows_computed(name: str) -> list[int]:
    model, features, seen = start(name).train(), small_store(), []
    assert isinstance(model, Chain)
    model.encoder.project.register_forward_hook(lambda *a: seen.append(len(a[2])))
    with distributed.shared_layers(model):
        model.losses(*model.draw(features, np.arange(12), np.random.default_rng(1)))
        model.eval().encode(torch.zeros(5, 4, 8))
    return seen


def test_each_process_computes_its_share(tmp_path: Path) -> None:
    """Both views, and the first ones in another order; all of what is encoded outside training."""
    assert rows_computed("chain") == [24, 12, 5]
    assert on_ranks(rows_computed, 2, tmp_path, "chain") == [[12, 6, 5]] * 2


def trained(
    name: str, folder: Path, stop: int | None = None, **training: Any
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]], NDArray[Any]]:
    """History, weights and real codes (N, b) of all clips after a training; each process has a
    scratch folder of its own. With `stop`, the training is interrupted in that step and resumed.
    """
    scratch = folder / f"scratch_{distributed.rank()}"
    scratch.mkdir(parents=True)
    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            fit(stopping(start(name, **training), stop), scratch)
    model = start(name, **training)
    history = fit(model, scratch)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    clips = torch.from_numpy(small_store().clean[:, 1:5]).float()
    with torch.no_grad():
        return history, weights, model.eval().encode(clips).numpy()


def fit(model: Method, scratch: Path) -> pd.DataFrame:
    with distributed.shared_layers(model):
        return train(model, small_store(), 5, CPU, scratch)


def stopping(model: Method, step: int) -> Method:
    losses, steps = model.losses, itertools.count()

    def interrupted(*batch: Tensor) -> dict[str, Tensor]:
        if next(steps) == step:
            raise KeyboardInterrupt
        return losses(*batch)

    model.losses = interrupted  # type: ignore[method-assign]
    return model


@pytest.fixture
def saves_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the processes forked from this one too."""
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1)


@pytest.mark.usefixtures("saves_each_epoch")
@pytest.mark.parametrize("name", ["chain", "conmh"])
def test_training_stopped_or_not_comes_to_what_one_process_comes_to(
    tmp_path: Path, name: str
) -> None:
    """In single precision: losses within 1e-4 of theirs, nearly all real codes within 0.01."""
    history, _, codes = trained(name, tmp_path / "alone")
    first, second = on_ranks(trained, 2, tmp_path / "whole", name, tmp_path / "whole")
    np.testing.assert_allclose(first[0], history, rtol=1e-4)
    assert (np.abs(first[2] - codes) < 0.01).mean() > 0.99
    stopped = on_ranks(trained, 2, tmp_path / "stopped", name, tmp_path / "stopped", 3)
    for other in (second, *stopped):
        assert other[0].equals(first[0])
        assert all(np.array_equal(other[1][key], first[1][key]) for key in first[1])
    held = [[path.name for path in (tmp_path / "stopped").glob(f"scratch_{k}/*")] for k in (0, 1)]
    assert held == [["checkpoint_5.pt"], []]


def test_bf16(tmp_path: Path) -> None:
    history, *_ = trained("chain", tmp_path / "alone", precision="bf16")
    for found, *_ in on_ranks(half, 2, tmp_path, tmp_path):
        np.testing.assert_allclose(found, history, rtol=1e-2)


def half(folder: Path) -> tuple[Any, ...]:
    return trained("chain", folder, precision="bf16")


def dropped(folder: Path) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Which features of the first step dropout took away, and the weights after the training."""
    model, masks = start("chain"), []
    assert isinstance(model, Chain)
    model.encoder.dropout.p = 0.5
    model.encoder.dropout.register_forward_hook(lambda *a: masks.append((a[2] == 0).numpy()))
    fit(model, folder)
    return masks[0], model.order_head.weight.detach().numpy()


def test_dropout_does_not_treat_the_shares_alike(tmp_path: Path) -> None:
    (mask, weights), (other_mask, other_weights) = on_ranks(dropped, 2, tmp_path, tmp_path)
    assert 0.4 < mask.mean() < 0.6
    assert 0.4 < (mask == other_mask).mean() < 0.6
    np.testing.assert_array_equal(weights, other_weights)


def test_a_process_alone_joins_nothing() -> None:
    with distributed.joined() as rank:
        assert rank == 0 and not dist.is_initialized()


# torchrun itself: small parameters and random features in a folder, from which the stage is run.

KILLED = """
import os, signal
from chain.methods.chain import Chain
from chain.training import loop
from stages.train import train_cell

loop.SECONDS_BETWEEN_CHECKPOINTS = -1
attempt, epochs = os.environ["TORCHELASTIC_RESTART_COUNT"], []

def start_epoch(self, epoch, store):
    # The process that writes, when the first seed is done and the second is not.
    epochs.append(epoch)
    if attempt == os.environ["RANK"] == "0" and len(epochs) == 5:
        print("killed", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

Chain.start_epoch = start_epoch
print(train_cell("demo", "chain", 16))
"""


def project(folder: Path) -> Path:
    """A folder with what the stage reads."""
    features = small_store()
    held = folder / "artifacts/features/demo"
    held.mkdir(parents=True)
    features.index.to_csv(held / "index.csv", index=False)
    np.save(held / "clean.npy", features.clean)
    np.save(held / "train.npy", features.train)
    np.save(held / "bank_consistent.npy", features.banks["consistent"])
    tree = {
        "seed": 0,
        "repeats": 2,
        "runtime": {
            "device": "cpu",
            "threads": 1,
            "training_threads": 1,
            "workers": 2,
            "recompute": False,
            "engine": "threads",
        },
    }
    recipe = folder / "artifacts/recipes/demo/chain.json"
    recipe.parent.mkdir(parents=True)
    config = method_config("chain", small("chain"))
    write_recipe(recipe, "chain", {UNCHANGED: config}, {}, {})
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    return folder


def joined_cell(rank: int, port: int, folder: Path) -> str:
    """The stage in `folder`, in one of two processes that no `torchrun` watches over."""
    os.chdir(folder)
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= where | {"WORLD_SIZE": "2", "RANK": str(rank), "TQDM_DISABLE": "1"}
    return train_cell("demo", "chain", 16)


@pytest.mark.slow
def test_stage_by_two_processes_and_one_killed_under_torchrun(tmp_path: Path) -> None:
    """The killed training is restarted and ends in the same bytes."""
    whole, killed = project(tmp_path / "whole"), project(tmp_path / "killed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = side_by_side(joined_cell, [(rank, port, whole) for rank in (0, 1)], 2)
    assert "2 seed(s), loss" in said[0] and said[1].endswith("process 1 done")
    assert os.listdir(whole / "artifacts/models/demo") == ["chain_16"]
    assert not os.listdir(whole / ".scratch")

    (killed / "killed.py").write_text(KILLED)
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node 2 --max-restarts 1 killed.py"
    done = subprocess.run(
        [sys.executable, *torchrun.split()],
        cwd=killed,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed") == 1
    models = [folder / "artifacts/models/demo/chain_16" for folder in (whole, killed)]
    names = [sorted(os.listdir(model)) for model in models]
    assert names == [["history.csv", "model.json", "seed_0.pt", "seed_1.pt"]] * 2
    for name in names[0]:
        assert (models[0] / name).read_bytes() == (models[1] / name).read_bytes(), name

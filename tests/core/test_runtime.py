"""Device and threads, from the parameters or the environment."""

from collections.abc import Iterator

import pytest
import torch

from chain.core.errors import InputError
from chain.core.params import parse
from chain.core.runtime import RuntimeConfig, set_up

PARAMETERS = {
    "device": "cpu",
    "threads": 3,
    "training_threads": 2,
    "workers": 1,
    "recompute": False,
    "engine": "threads",
}
CONFIG = RuntimeConfig.model_validate(PARAMETERS)


@pytest.fixture(autouse=True)
def torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CHAIN_DEVICE", "CHAIN_THREADS"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn)


def test_threads_of_the_cnn_and_of_a_training() -> None:
    assert set_up(CONFIG) == torch.device("cpu")
    assert torch.get_num_threads() == 3
    set_up(CONFIG, training=True)
    assert torch.get_num_threads() == 2
    set_up(CONFIG, training=False)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("training", [True, False])
def test_the_environment_overrides_both(monkeypatch: pytest.MonkeyPatch, training: bool) -> None:
    monkeypatch.setenv("CHAIN_THREADS", "4")
    set_up(CONFIG, training)
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_bad_threads_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CHAIN_THREADS", value)
    before = torch.get_num_threads()
    with pytest.raises(InputError, match=f"CHAIN_THREADS: expected a number above 0, not '{value}"):
        set_up(CONFIG, training=True)
    assert torch.get_num_threads() == before


def test_kernels_are_deterministic() -> None:
    torch.use_deterministic_algorithms(False)
    set_up(CONFIG)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    asked: list[torch.device] = []
    monkeypatch.setattr(torch, "empty", lambda size, device: asked.append(device))
    device = set_up(CONFIG.model_copy(update={"device": "auto"}))
    assert device == torch.device("cuda" if there else "cpu")
    assert asked == [device]


@pytest.mark.parametrize("name", ["warp", "cpu:x", "cuda:999"])
def test_bad_device_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(InputError, match=f"runtime.device: '{name}': ") as caught:
        set_up(CONFIG.model_copy(update={"device": name}))
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("CHAIN_DEVICE", name)
    with pytest.raises(InputError, match=name):
        set_up(CONFIG)
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    assert set_up(CONFIG.model_copy(update={"device": name})) == torch.device("cpu")


@pytest.mark.parametrize("key", ["threads", "training_threads", "workers"])
def test_numbers_are_above_zero(key: str) -> None:
    with pytest.raises(InputError, match=f"runtime.{key}: .*greater than or equal to 1"):
        parse(RuntimeConfig, PARAMETERS | {key: 0}, "runtime")


def test_engine() -> None:
    assert CONFIG.engine == "threads"
    assert parse(RuntimeConfig, PARAMETERS | {"engine": "ray"}, "runtime").engine == "ray"
    with pytest.raises(InputError, match=r"runtime\.engine: .*'threads' or 'ray'.*'spark'"):
        parse(RuntimeConfig, PARAMETERS | {"engine": "spark"}, "runtime")

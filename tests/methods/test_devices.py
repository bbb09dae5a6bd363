"""Every method keeps to the device that it is on; no GPU is needed.

PyTorch's fake tensors have a device and a shape, but no numbers. They refuse to compute on tensors
of two devices, as CUDA does. Without a driver autograd can not follow them backwards on `cuda`: it
asks CUDA for its streams. So gradients are computed on the device `meta`, which needs no driver and
refuses most mixtures. `start_epoch` clusters numbers, so it runs on the CPU before the copy.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from small_methods import LEARNED, small, small_store
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from chain.core.params import merge
from chain.methods import method_class, method_config
from chain.methods.base import Method, MethodConfig
from chain.training.loop import build

BITS, EPOCHS = 8, 4
ROWS = np.arange(12)
STORE = small_store()
NUMBER = 2
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "chain": [{"encoder": {"kind": "lstm"}}, {"encoder": {"kind": "mc_mlp"}}],
    "s5vh": [{"centres": "fixed"}],
    "autossvh": [{"sampler": "learned"}],
}
CASES = [(name, changes) for name in LEARNED for changes in ({}, *VARIANTS.get(name, []))]
each_case = pytest.mark.parametrize(("name", "changes"), CASES)


class Guess(TorchDispatchMode):
    """Answers where numbers are asked for: a single one is 2, and a mask takes all elements."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return NUMBER
        if func is torch.ops.aten.index.Tensor and args[1][0].dtype == torch.bool:
            tensor, (mask,) = args
            args = tensor, [mask.new_zeros(mask.numel(), dtype=torch.int64)] * mask.ndim
        return func(*args, **(kwargs or {}))


@contextmanager
def without_numbers(device: str) -> Iterator[None]:
    """CPU tensors from outside take part as the CPU tensors that they are."""
    with ExitStack() as stack:
        if device != "meta":
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # asks for a driver
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(Guess())
        yield


def check(model: Method, batch: tuple[Tensor, ...], device: str) -> None:
    """Losses and codes of a copy of `model` on a device, and on `meta` the gradients."""
    model = deepcopy(model)
    with without_numbers(device):
        model.to(device).train()
        parts = model.losses(*(tensor.to(device) for tensor in batch))
        assert {value.device.type for value in parts.values()} == {device}
        if device == "meta":
            parts["loss"].backward()  # type: ignore[no-untyped-call]
            gradients = [one.grad for one in model.parameters() if one.grad is not None]
            assert gradients and all(gradient.device.type == device for gradient in gradients)
        features = STORE.clean_frames(STORE.train, model.frames)
        codes = model.eval().encode(features.to(device))
    assert codes.device.type == device and codes.shape == (len(features), BITS)


@pytest.mark.parametrize("device", ["cuda", "meta"])
@each_case
def test_losses_gradients_and_codes_stay_on_the_device(
    name: str, changes: dict[str, Any], device: str
) -> None:
    config = method_config(name, merge(small(name, epochs=EPOCHS), changes))
    model = build(method_class(name), config, STORE, BITS, 0)
    for epoch in range(EPOCHS):
        model.start_epoch(epoch, STORE)
        check(model, model.draw(STORE, ROWS, np.random.default_rng(epoch)), device)


class Backwards(torch.autograd.Function):
    """x forwards, and a gradient from the CPU backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * torch.ones(gradients[0].shape)


class Broken(Method):
    """Makes a tensor on the CPU in one of four places; `nowhere` it does not."""

    def __init__(self, place: str) -> None:
        super().__init__(MethodConfig(frames=4), 8, BITS)
        self.place = place
        self.hash = nn.Linear(8, BITS)
        self.kept = torch.ones(BITS)  # an attribute, which `to` leaves where it is

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        codes = self._codes(batch[0])
        if self.place == "losses":
            codes = codes + torch.ones(BITS)
        if self.place == "attribute":
            codes = codes + self.kept
        if self.place == "backward":
            codes = Backwards.apply(codes)
        return {"loss": codes.mean()}

    def encode(self, features: Tensor) -> Tensor:
        codes = self._codes(features)
        return codes + torch.ones(BITS) if self.place == "encode" else codes

    def _codes(self, features: Tensor) -> Tensor:
        codes: Tensor = self.hash(features).mean(dim=1)
        return codes


FEATURES = STORE.clean_frames(STORE.train[:3], 4)


@pytest.mark.parametrize(
    ("place", "device"),
    [
        *product(["losses", "attribute", "encode"], ["cuda", "meta"]),
        ("backward", "meta"),
    ],
)
def test_the_check_finds_a_tensor_on_the_cpu(place: str, device: str) -> None:
    check(Broken("nowhere"), (FEATURES,), device)
    with pytest.raises(RuntimeError, match="device"):
        check(Broken(place), (FEATURES,), device)

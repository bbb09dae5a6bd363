"""One training by several processes, as `torchrun` starts them, with the gradient of a single one.

Every process draws the same whole batch, since draws are seeded by (seed, epoch, step) alone. The
layers of a method are its direct children, which treat the rows of a batch one by one. Each process
computes them for its share of the rows. Then the outputs are gathered, and every process computes
the whole loss, with all its negatives and pairs. So methods and losses need not know of it. A layer
with batch normalisation looks at all rows, and every process computes it whole. The gradient is
right for these reasons:

* Between layers, tensors and their gradients are whole and the same in every process. A layer's
  output is gathered on the way forward, and the gradient of its input on the way back.
* A layer's weights get the gradient of one share of the rows. By the chain rule, that of the whole
  batch is the sum over rows, and so over processes.
* Rows that can't be split evenly are filled up with copies of the last one. The outputs for the
  copies are thrown away, and so get no gradient.
* Parameters of the method itself, and of layers that are computed whole, get the whole gradient in
  every process, so their mean is taken.

Results are those of one process up to the order of sums. Dropout is the exception, since each
process draws masks of its own. The running means of a batch normalisation then are those of the
first process, which saves them. Processes exchange tensors by gloo on the CPU and by nccl on CUDA,
where each has a device of its own. CUDA and more than one machine are untested.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.hooks import RemovableHandle

from chain.core.errors import InputError
from chain.methods.base import Method


def processes() -> int:
    """How many processes train together. It is 1 unless `torchrun` started more."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined() -> Iterator[int]:
    """Join the processes that `torchrun` started, if it did, and yield the rank of this one.

    The process of rank 0 is the one that writes.
    """
    if processes() == 1:
        yield 0
        return
    store, rank, world = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    # torchrun keeps its store over a restart, with the addresses of the killed processes.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    yield rank
    dist.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def local(device: torch.device) -> torch.device:
    """The device of this process. On CUDA each has its own; InputError if there are too few."""
    if not dist.is_initialized() or device.type != "cuda":
        return device
    number, held = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= held:
        raise InputError(f"torchrun: --nproc-per-node is more than the {held} CUDA device(s)")
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    return device


def from_first(value: Any) -> Any:
    """What the process of rank 0 passed. The `value` of the others is ignored."""
    if not dist.is_initialized():
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


@contextmanager
def shared_layers(model: Method) -> Iterator[None]:
    """While the model is in training mode, compute its layers for this process's rows only.

    Nothing changes where a process trains alone.
    """
    if not dist.is_initialized():
        yield
        return
    handles = [handle for layer in model.children() if _by_rows(layer) for handle in _share(layer)]
    yield
    for handle in handles:
        handle.remove()


def sum_gradients(model: Method) -> None:
    """Give each parameter of a model with shared layers the gradient of the whole batch."""
    if not dist.is_initialized():
        return
    whole = [layer.parameters() for layer in model.children() if not _by_rows(layer)]
    for parameter in chain(model.parameters(recurse=False), *whole):
        if parameter.grad is not None:
            parameter.grad /= dist.get_world_size()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    total = parameters_to_vector(gradients)
    dist.all_reduce(total)
    vector_to_parameters(total, gradients)


def _by_rows(layer: nn.Module) -> bool:
    """Whether a layer treats rows one by one, in training mode too."""
    return not any(isinstance(module, _BatchNorm) for module in layer.modules())


def _share(layer: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
    """Have a layer see this process's rows, and give those of all processes."""
    rows = 0

    def before(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal rows
        rows = len(inputs[0])
        return (_Share.apply(inputs[0]), *inputs[1:]) if layer.training else inputs

    def after(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        whole: Tensor = _Gather.apply(output, rows) if layer.training else output
        return whole

    return layer.register_forward_pre_hook(before), layer.register_forward_hook(after)


class _Share(torch.autograd.Function):
    """Whole (N, ...) -> this process's rows (S, ...). Gradients take the way back."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor) -> Tensor:
        ctx.rows = len(whole)
        return whole[_places(whole).clamp(max=len(whole) - 1)]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _joined(gradients[0])[: ctx.rows]


class _Gather(torch.autograd.Function):
    """This process's rows (S, ...) -> whole (N, ...). Gradients take the way back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: int) -> Tensor:
        return _joined(own)[:rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (whole,) = gradients
        places = _places(whole)
        own = whole[places.clamp(max=len(whole) - 1)]
        own[places >= len(whole)] = 0
        return own, None


def _places(whole: Tensor) -> Tensor:
    """Which rows (S,) of a whole (N, ...) are this process's, S = N / processes, rounded up.

    Those of the last processes may be N and more, which are no rows.
    """
    share = -(-len(whole) // dist.get_world_size())
    return torch.arange(share, device=whole.device) + share * dist.get_rank()


def _joined(own: Tensor) -> Tensor:
    own = own.contiguous()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts)

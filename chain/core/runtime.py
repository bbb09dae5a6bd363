"""Device, threads and workers: what may differ between machines without changing a result."""

import ctypes
import os
from contextlib import suppress
from typing import Annotated, Literal

import torch
from pydantic import Field

from chain.core.errors import InputError
from chain.core.params import Parameters

Engine = Literal["threads", "ray"]

DEVICES = ("cpu", "cuda")
M_MMAP_THRESHOLD = -3  # malloc.h


class RuntimeConfig(Parameters):
    """How the pipeline uses this machine.

    DVC does not track these values. The environment variable CHAIN_DEVICE overrides the device, and
    CHAIN_THREADS both numbers of threads.
    """

    device: str
    """`cpu`, `cuda`, `cuda:1`, ..., or `auto`, which is CUDA if there is a GPU and else the CPU."""
    threads: Annotated[int, Field(ge=1)]
    """CPU threads of the CNN. Results are the same to the bit as long as this number is."""
    training_threads: Annotated[int, Field(ge=1)]
    """CPU threads of each training, of which the same is true."""
    workers: Annotated[int, Field(ge=1)]
    """How many clips are decoded side by side; one more than this many trainings run so."""
    recompute: bool
    """Whether transformers train in less memory and more time (docs/scale.md)."""
    engine: Engine
    """What decodes clips and computes features (docs/scale.md)."""


def find_device(config: RuntimeConfig) -> torch.device:
    """Find the device to compute on. Raises InputError if this machine has no such device."""
    name = os.environ.get("CHAIN_DEVICE", config.device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type not in DEVICES:
            raise RuntimeError(f"training needs one of {', '.join(DEVICES)}")
    except (RuntimeError, AssertionError) as error:
        key = "CHAIN_DEVICE" if "CHAIN_DEVICE" in os.environ else "params.yaml: runtime.device"
        raise InputError(f"{key}: {name!r}: {str(error).splitlines()[0]}") from None
    return device


def set_up(config: RuntimeConfig, training: bool = False) -> torch.device:
    """Set torch's number of threads and deterministic kernels; returns the device to compute on.

    Raises InputError if there is no such device, or CHAIN_THREADS is no number above 0.
    """
    device = find_device(config)
    default = config.training_threads if training else config.threads
    threads = os.environ.get("CHAIN_THREADS", str(default))
    if not threads.isdecimal() or int(threads) < 1:
        raise InputError(f"CHAIN_THREADS: expected a number above 0, not {threads!r}")
    torch.set_num_threads(int(threads))
    torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def return_freed_memory() -> None:
    """Make malloc give every freed block above a megabyte back to the system at once.

    Otherwise glibc keeps freed blocks in its heap, and they are a third of a training's memory.
    Where the C library is another one, this does nothing.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)

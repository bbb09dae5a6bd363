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

M_MMAP_THRESHOLD = -3  # malloc.h


class RuntimeConfig(Parameters):
    """Not tracked by DVC; CHAIN_DEVICE and CHAIN_THREADS override it."""

    device: str
    """`auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1`, ..."""
    threads: Annotated[int, Field(ge=1)]
    """CPU threads of the CNN. Results are bit-reproducible for a given number, here and below."""
    training_threads: Annotated[int, Field(ge=1)]
    """CPU threads of each training."""
    workers: Annotated[int, Field(ge=1)]
    """Clips decoded side by side; of trainings one more."""
    recompute: bool
    """Train transformers in less memory and more time (docs/scale.md)."""
    engine: Engine
    """What decodes clips and computes features (docs/scale.md)."""


def find_device(config: RuntimeConfig) -> torch.device:
    """The device to compute on; InputError if this machine has no such device."""
    name = os.environ.get("CHAIN_DEVICE", config.device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        key = "CHAIN_DEVICE" if "CHAIN_DEVICE" in os.environ else "params.yaml: runtime.device"
        raise InputError(f"{key}: {name!r}: {str(error).splitlines()[0]}") from None
    return device


def set_up(config: RuntimeConfig, training: bool = False) -> torch.device:
    """Fix torch's threads and deterministic kernels; returns the device to compute on."""
    device = find_device(config)
    default = config.training_threads if training else config.threads
    threads = os.environ.get("CHAIN_THREADS", str(default))
    if not threads.isdecimal() or int(threads) < 1:
        raise InputError(f"CHAIN_THREADS: expected a number above 0, not {threads!r}")
    torch.set_num_threads(int(threads))
    torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def return_freed_memory() -> None:
    """Have every freed tensor above a megabyte go back to the system at once, where it is glibc's.

    Its heap keeps the gaps between them otherwise, a third of what a training then holds.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)

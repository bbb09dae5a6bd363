"""Device, threads and workers: what may differ between machines without changing a result."""

import os
from typing import Annotated

import torch
from pydantic import Field

from chain.errors import InputError
from chain.params import Parameters


class RuntimeConfig(Parameters):
    """Not tracked by DVC; CHAIN_DEVICE and CHAIN_THREADS override it."""

    device: str
    """`auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1`, ..."""
    threads: Annotated[int, Field(ge=1)]
    """CPU threads of torch. Results are bit-reproducible for a given number."""
    workers: Annotated[int, Field(ge=1)]
    """Processes that render and decode clips."""


def set_up(config: RuntimeConfig) -> torch.device:
    """Fix torch's threads and deterministic kernels; returns the device to compute on."""
    name = os.environ.get("CHAIN_DEVICE", config.device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"runtime.device: {name!r}: {str(error).splitlines()[0]}") from None
    threads = os.environ.get("CHAIN_THREADS", str(config.threads))
    if not threads.isdecimal() or int(threads) < 1:
        raise InputError(f"CHAIN_THREADS: expected a number above 0, not {threads!r}")
    torch.set_num_threads(int(threads))
    torch.use_deterministic_algorithms(True, warn_only=True)
    return device

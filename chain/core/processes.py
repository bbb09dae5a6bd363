"""Independent jobs that run side by side, each in a process of its own."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from chain.core.errors import InputError

T = TypeVar("T")


def side_by_side(task: Callable[..., T], jobs: Sequence[tuple[Any, ...]], workers: int) -> list[T]:
    """Return [task(*job) for job in jobs], computed by up to `workers` processes.

    One worker, or one job, needs no process besides this one. The first job that raises ends the
    call with its exception. Workers end with this process, even if it is killed.
    """
    if min(workers, len(jobs)) <= 1:
        return [task(*job) for job in jobs]
    with ProcessPoolExecutor(
        min(workers, len(jobs)), _context(), initializer=_follow, initargs=(os.getpid(),)
    ) as pool:
        futures = [pool.submit(task, *job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def in_child(task: Callable[..., T], *arguments: Any) -> T:
    """Return task(*arguments), computed by a process of its own.

    If a library that the task calls crashes, it ends that process and not this one; then InputError
    says so.
    """
    with ProcessPoolExecutor(1, _context(), initializer=_follow, initargs=(os.getpid(),)) as pool:
        try:
            return pool.submit(task, *arguments).result()
        except BrokenProcessPool:
            raise InputError("the library that reads it crashed") from None


def _context() -> BaseContext:
    """Libraries take seconds to load, and a forked child has them; only on Linux is fork safe."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _follow(parent: int) -> None:
    """Start a thread that ends this process soon after its parent is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""Jobs side by side."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chain.core.errors import InputError
from chain.core.processes import in_child, side_by_side


def crash(_: int) -> int:
    faulthandler.disable()  # it would print where
    os.kill(os.getpid(), signal.SIGSEGV)
    return 1


def test_a_child_that_crashes_is_an_error_of_one_line() -> None:
    value, process = in_child(product, 3, 2)
    assert value == 6 and process != os.getpid()
    with pytest.raises(InputError, match="crashed"):
        in_child(crash, 1)
    with pytest.raises(InputError, match="job 2"):
        in_child(fail, 2)


def product(first: int, second: int) -> tuple[int, int]:
    return first * second, os.getpid()


def fail(number: int) -> int:
    if number:
        raise InputError(f"job {number}: no such file")
    return number


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    found = side_by_side(product, [(number, 3) for number in range(5)], workers)
    assert [value for value, _ in found] == [0, 3, 6, 9, 12]
    elsewhere = {process for _, process in found} - {os.getpid()}
    assert bool(elsewhere) == (workers > 1)
    assert len(elsewhere) <= workers


def test_a_single_job_stays_in_this_process() -> None:
    assert side_by_side(product, [(2, 2)], 4) == [(4, os.getpid())]
    assert side_by_side(product, [], 4) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_error_ends_the_call(workers: int) -> None:
    with pytest.raises(InputError, match=r"^job 1: no such file$"):
        side_by_side(fail, [(0,), (1,), (2,)], workers)


SLEEPER = """
import sys, time
from pathlib import Path
from chain.core.processes import side_by_side

def sleep(name):
    Path(sys.argv[1], name).write_text("")
    time.sleep(60)

side_by_side(sleep, [("a",), ("b",)], 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER, str(tmp_path)], process_group=0)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    assert len(alive(parent.pid)) == 3
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(parent.pid))


def alive(group: int) -> list[str]:
    """Processes of a group that are running."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == group and state != "Z":
            found.append(status.parent.name)
    return found


def wait_until(holds) -> None:  # type: ignore[no-untyped-def]
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 10 s")

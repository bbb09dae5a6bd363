"""Errors that a user reads: one line that names the file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain.core.errors import InputError, errors_of_one_line, one_line, reading
from chain.core.processes import side_by_side

NO_ROOM = "error: No space left on device; what is finished is kept: make room and run it again"


def test_one_line_of_any_error() -> None:
    assert one_line(ValueError("a\n  b\tc")) == "a b c"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 10_000))) < 200


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file"), "a.npy: no such file; run `dvc repro`"),
        (PermissionError(13, "Permission denied"), "a.npy: can't be read: Permission denied"),
        (
            OSError("truncated\nfile"),
            "a.npy: not a map, or damaged (truncated file); run `dvc repro`",
        ),
        (KeyError("x"), "a.npy: not a map, or damaged ('x'); run `dvc repro`"),
        (EOFError(), "a.npy: not a map, or damaged (EOFError); run `dvc repro`"),
        (InputError("b.npy: no"), "b.npy: no"),
    ],
)
def test_whatever_goes_wrong_while_a_file_is_read(error: Exception, said: str) -> None:
    with pytest.raises(InputError) as caught, reading(Path("a.npy"), "a map"):
        raise error
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("bits: no"), "error: bits: no"),
        (OSError(28, "No space left on device"), NO_ROOM),
        (RuntimeError("write error in a.faiss (No space left on device)"), NO_ROOM),
        (OSError(30, "Read-only file system", "x/y"), "error: x/y: Read-only file system"),
        (OSError("odd\none"), "error: odd one"),
    ],
)
def test_a_command_ends_in_one_line(error: Exception, said: str) -> None:
    with pytest.raises(SystemExit) as caught, errors_of_one_line():
        raise error
    assert caught.value.code == said


def _no_room() -> None:
    try:
        raise OSError(28, "No space left on device")
    finally:
        raise RuntimeError("unexpected pos 64 vs 0")  # as torch does


def test_a_full_disk_behind_the_error_of_a_library_or_of_another_process() -> None:
    for workers in (1, 2):
        with pytest.raises(SystemExit) as caught, errors_of_one_line():
            side_by_side(_no_room, [(), ()], workers)
        assert caught.value.code == NO_ROOM


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), errors_of_one_line():
        raise ZeroDivisionError


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, errors_of_one_line():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped; what was written stays\n"


def test_a_broken_pipe_that_is_not_our_output_is_told() -> None:
    """As where a worker process has died."""
    with pytest.raises(SystemExit) as ended, errors_of_one_line():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert ended.value.code == "error: Broken pipe"


@pytest.mark.parametrize("length", [1, 2**20])  # what stays in the buffer, and what does not
def test_a_reader_of_our_output_that_has_gone_is_no_fault(length: int) -> None:
    program = f"""
from chain.core.errors import errors_of_one_line
with errors_of_one_line():
    print("x" * {length})
"""
    read, write = os.pipe()
    os.close(read)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=root, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (run.returncode, run.stderr) == (1, b"")

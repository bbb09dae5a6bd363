"""The one exception that a user is meant to read, and how other errors are told in one line."""

import errno
import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPRO = "run `dvc repro`"
UNFINISHED = "delete its folder, which holds unfinished work"
FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""What the system says of a disk without room."""
LONGEST = 160  # characters of an error of another library
STOPPED = 130  # the exit code after Ctrl-C, as shells have it


class InputError(ValueError):
    """Something is wrong with the input; one line names the file or the parameter at fault."""


def one_line(error: BaseException) -> str:
    """An error's message without line breaks, or its type if it has none."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


@contextmanager
def reading(path: Path, what: str, remedy: str = REPRO) -> Iterator[None]:
    """Raise InputError, which names `path`, whatever goes wrong while the body reads that file.

    `what` says what the file should be ("a table of clips"), and `remedy` how to get a sound one.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except Exception as error:  # libraries raise many types for damaged files, OSError too
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path}: can't be read: {error.strerror}") from None
        raise InputError(f"{path}: not {what}, or damaged ({one_line(error)}); {remedy}") from None


@contextmanager
def errors_of_one_line() -> Iterator[None]:
    """End the command with one line if the input is at fault, a file can't be used, or at Ctrl-C.

    Some libraries report a full disk by an error of their own; what the system said is then in its
    text or in that of an error behind it.
    """
    try:
        yield
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(1)
        told = "".join(traceback.format_exception(error))
        full = [reason for reason in FULL if reason in told]
        if full:
            sys.exit(f"error: {full[0]}; what is finished is kept: make room and run it again")
        if not isinstance(error, OSError):
            raise
        file = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {file}{error.strerror or one_line(error)}")
    except KeyboardInterrupt:
        print("stopped; what was written stays", file=sys.stderr)
        sys.exit(STOPPED)


def _nobody_reads() -> bool:
    """Whether who read our output has gone, such as `head`; what is left of it is then dropped."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always told
    gone = bool(output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone

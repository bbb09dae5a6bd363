"""Atomic writes: a file is either whole and new, or as it was."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pandas takes most of a second to load, and not all who write files need it
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with the same suffix, that replaces it on success.

    The caller writes a file or a folder there; parent folders are made. On an error what was
    written is removed and `path` is left as it was. An old folder is removed before the new one
    takes its name, so that for a moment there is neither. What a killed process left is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    _remove_leftovers(path)
    try:
        yield temporary
        if temporary.exists() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _remove_leftovers(path: Path) -> None:
    name = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)\.partial{re.escape(path.suffix)}")
    for other in path.parent.iterdir():
        found = name.fullmatch(other.name)
        if found and (int(found[1]) == os.getpid() or not _is_alive(int(found[1]))):
            _remove(other)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def by_seed(folder: Path, suffix: str) -> dict[int, Path]:
    """Find the files seed_<number><suffix> of a folder; returns them by number, in that order."""
    found = dict[int, Path]()
    for path in folder.glob(f"seed_*{suffix}"):
        number = path.name.removeprefix("seed_").removesuffix(suffix)
        if number.isdecimal():  # others, such as a copy by hand, are not ours
            found[int(number)] = path
    return dict(sorted(found.items()))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON. Raises ValueError on NaN and infinity."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` without its index; floats keep six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")

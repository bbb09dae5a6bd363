import errno
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from chain.core.kept import Kept

MADE = {"size": 8, "code": {"a.py": "1"}}
ARRAY = np.arange(12, dtype=np.float16).reshape(3, 4)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def keep(name: str = "frames-demo", **changes: object) -> Path:
    np.save("array.npy", ARRAY)
    Kept(name, MADE | changes).replace(
        {"file": (Path("array.npy"), ["a", "b", "c"]), "rows": (ARRAY[::-1], ["c", "b", "a"])}
    )
    return Path(".kept", name)


def test_rows_are_found_by_clip() -> None:
    keep()
    Path("array.npy").unlink()
    kept = Kept("frames-demo", MADE)
    for row, clip in enumerate("abc"):
        for array in ("file", "rows"):
            assert (kept.find(array, clip) == ARRAY[row]).all()
    assert kept.find("file", "d") is None and kept.find("other", "a") is None
    assert Kept("frames-other", MADE).find("file", "a") is None


def test_files_are_linked_not_copied() -> None:
    folder = keep()
    assert (folder / "file.npy").samefile("array.npy")


@pytest.mark.parametrize("change", [{"size": 9}, {"code": {"a.py": "2"}}, {"more": 1}])
def test_what_was_made_otherwise_is_not_found(change: dict[str, object]) -> None:
    keep()
    assert Kept("frames-demo", MADE | change).find("file", "a") is None
    keep(**change)
    assert Kept("frames-demo", MADE | change).find("file", "a") is not None
    assert Kept("frames-demo", MADE).find("file", "a") is None


def test_only_the_last_is_kept() -> None:
    keep()
    Kept("frames-demo", MADE).replace({"rows": (ARRAY[:1], ["z"])})
    kept = Kept("frames-demo", MADE)
    assert kept.find("file", "a") is None and kept.find("rows", "c") is None
    assert (kept.find("rows", "z") == ARRAY[0]).all()
    assert sorted(path.name for path in Path(".kept").iterdir()) == ["frames-demo"]


@pytest.mark.parametrize("damage", ["record.json", "file.npy"])
def test_damaged_folders_count_as_empty(damage: str) -> None:
    folder = keep()
    (folder / damage).write_bytes(b"{")
    assert Kept("frames-demo", MADE).find("rows", "a") is None
    (folder / damage).unlink()
    assert Kept("frames-demo", MADE).find("rows", "a") is None
    keep()
    assert Kept("frames-demo", MADE).find("rows", "a") is not None


def test_where_links_are_impossible(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    keep()
    record = json.loads(Path(".kept/frames-demo/record.json").read_text())
    monkeypatch.setattr(os, "link", refuse)
    with caplog.at_level(logging.WARNING):
        keep(size=10)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("nothing is kept") and message.endswith("Operation not permitted")
    assert json.loads(Path(".kept/frames-demo/record.json").read_text()) == record

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from chain.core.files import by_seed, replacing, write_csv, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "table.npy"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            assert temporary.parent == path.parent and temporary.suffix == ".npy"
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert names(path.parent) == ["table.npy"]


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "codes"
    for name in ("old", "new"):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
        assert names(path) == [name]
    assert names(tmp_path) == ["codes"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_on_an_error_all_stays_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(error), replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise error
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["folder", "table.csv"]


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = [tmp_path / f".table.{dead.pid}.partial.csv", tmp_path / f".table.{10**30}.partial.csv"]
    kept = [
        tmp_path / f".table.{os.getppid()}.partial.csv",  # its process is alive
        tmp_path / f".other.{dead.pid}.partial.csv",
        tmp_path / f".table.{dead.pid}.partial",
    ]
    for path in (*left, *kept):
        path.mkdir()
    with replacing(tmp_path / "table.csv") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == sorted(["table.csv", *(path.name for path in kept)])


def test_writing_nothing_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(FileNotFoundError), replacing(folder):
        pass
    assert names(folder) == ["old"]


def test_what_a_killed_process_of_the_same_number_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / f".codes.{os.getpid()}.partial"
    leftover.mkdir()
    (leftover / "stale").touch()
    with replacing(tmp_path / "codes") as temporary:
        assert temporary == leftover
        temporary.mkdir()
    assert names(tmp_path) == ["codes"] and names(tmp_path / "codes") == []


def test_files_by_seed(tmp_path: Path) -> None:
    for name in ("seed_10.pt", "seed_2.pt", "seed_2 (copy).pt", "seed_x.pt", "seed_3.npy"):
        (tmp_path / name).touch()
    assert by_seed(tmp_path, ".pt") == {2: tmp_path / "seed_2.pt", 10: tmp_path / "seed_10.pt"}
    assert list(by_seed(tmp_path, ".pt")) == [2, 10]


def test_json_is_indented_and_ends_in_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"b": 1, "a": [0.5]})
    assert path.read_text() == '{\n  "b": 1,\n  "a": [\n    0.5\n  ]\n}\n'
    assert json.loads(path.read_text()) == {"b": 1, "a": [0.5]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_it_can_not_hold(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "metrics.json", {"map": value})
    assert names(tmp_path) == []


def test_csv_has_six_digits_and_no_index(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    write_csv(path, pd.DataFrame({"k": [5, 1234567], "map": [1 / 3, 2.0]}, index=[7, 8]))
    assert path.read_bytes() == b"k,map\n5,0.333333\n1234567,2\n"

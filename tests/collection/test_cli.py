"""The command `chain`, as a user types it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from chain import cli
from chain.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """`chain(*arguments)` runs the command on a collection of its own; returns its result."""
    monkeypatch.setenv("CHAIN_COLLECTION", str(tmp_path / "collection"))

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def filled(chain, clip, hasher):
    """The same, where the collection has three videos and a broken one."""
    clip("a.mp4", 0), clip("long.mp4", 1, 2, 3)
    folder = clip("b.mp4", 4).parent
    (folder / "broken.mp4").write_bytes(b"nothing")
    added = chain("add", folder, "--hasher", hasher, "--segment", 1.2, "--stride", 0.6)
    assert added.stdout == "3 new, 0 changed, 0 moved, 0 unchanged, 0 removed, 1 broken\n"
    assert f"broken: {folder}/broken.mp4: cannot be opened" in added.stderr
    return chain


def test_search_prints_text_json_and_csv(filled, clip):
    query = clip("query/same.mp4", 1, 2, 3)
    text = filled("search", query, "--k", 2).stdout.splitlines()
    assert text[0] == str(query) and len(text) == 6  # and a line says that videos are few
    assert text[2].endswith("clips/long.mp4") and "0:00.0-0:03.6" in text[2]
    (found,) = json.loads(filled("search", query, "--json").stdout)
    assert found["query"] == str(query)
    assert found["matches"][0]["path"].endswith("long.mp4")
    table = list(csv.DictReader(io.StringIO(filled("search", query, "--csv").stdout)))
    assert [row["path"] for row in table] == [one["path"] for one in found["matches"]]
    assert float(table[0]["start"]) == pytest.approx(found["matches"][0]["start"])


def test_a_folder_of_queries_and_limits(filled, clip):
    clip("queries/x.mp4", 1), clip("queries/y.mp4", 4)
    folder = clip("queries/z.mp4", 9).parent
    found = json.loads(filled("search", folder, "--k", 1, "--json").stdout)
    assert [Path(one["query"]).name for one in found] == ["x.mp4", "y.mp4", "z.mp4"]
    assert [Path(one["matches"][0]["path"]).name for one in found[:2]] == ["long.mp4", "b.mp4"]
    none = filled("search", folder / "x.mp4", "--where", "path LIKE '%none%'").stdout
    assert none.splitlines()[1] == "nothing found"


def test_a_folder_that_lost_all_its_videos_is_not_forgotten(filled, clip):
    """An empty folder may be one where no disk is mounted."""
    folder = clip("a.mp4", 0).parent
    for path in folder.glob("*.mp4"):
        path.rename(path.with_suffix(".gone"))
    said = filled("sync", folder, code=1).output
    assert said.startswith(f"error: {folder}: it has no video any more, and had 3; `chain remove`")
    assert json.loads(filled("status", "--json").stdout)["videos"] == 3
    filled("remove", folder)
    assert json.loads(filled("status", "--json").stdout)["videos"] == 0


def test_a_contact_sheet(filled, clip, tmp_path):
    filled("search", clip("q.mp4", 2), "--sheet", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").format == "PNG"


def test_status_remove_and_sync(filled, clip):
    found = json.loads(filled("status", "--json").stdout)
    assert (found["videos"], found["codes"], found["broken"]) == (3, 6, 1)
    assert found["broken_files"][0]["path"].endswith("broken.mp4")
    assert "videos    3, 3 of different content" in filled("status").stdout
    path = clip("a.mp4", 0)
    assert filled("remove", path).stdout == "1 removed\n"
    clip("long.mp4", 1, 2, 3).unlink()
    out = filled("sync", path.parent).stdout
    assert out == "1 new, 0 changed, 0 moved, 1 unchanged, 1 removed, 1 broken\n"


def test_bad_input_gives_one_line(filled, clip, tmp_path, hasher, make_another):
    path = clip("a.mp4", 0)
    for arguments, message in (
        (["search", "none.mp4"], "none.mp4: no such file"),
        (["search", tmp_path / "clips/broken.mp4"], "broken.mp4: cannot be opened"),
        (["search", path, "--k", 0], "k: expected a number above 0"),
        (["search", path, "--where", "nonsense = 1"], "where: 'nonsense = 1' is no SQL condition"),
        (["search", path, "--max-distance", -1], "max distance: expected 0 or more"),
        (["search", path, "--max-distance", "nan"], "max distance: expected 0 or more"),
        (["search", path, "--max-duration-ratio", 0.5], "ratio: expected 1 or more"),
        (["search", path, "--sheet", tmp_path / "no/a.png"], "no: no such folder"),
        (["search", path, "--sheet", tmp_path / "clips"], "clips: a folder, and --sheet needs"),
        (["search", path, "--where", ""], "where: '' is no SQL condition"),
        (["search", path, "--json", "--csv"], "choose one of them"),
        (["duplicates", "--json", "--csv"], "choose one of them"),
        (["duplicates", "--false-alarms", "nan"], "expected a number above 0"),
        (["remove", tmp_path / "gone"], "the collection has no file there"),
        (["sync", path], "no folder; `chain add` adds files"),
        (["add", path, "--segment", 0], "expected 0.2 <= stride <= length"),
        (["add", path, "-c", tmp_path / "new", "--hasher", tmp_path / "x"], "no hasher there"),
        (["search", path, "-c", tmp_path / "none"], "none: no such collection"),
        (["search", tmp_path / "clips", "--sheet", "x.png"], "--sheet: it shows one query"),
        (["add", "none"], "none: no such file or folder"),
        (["add", path, "--hasher", make_another], "can't be compared with those of"),
        (["add", path, "--segment", 5], "its segments are 1.2 s, every 0.6 s"),
        (["add", path, "-c", tmp_path / "clips", "--hasher", hasher], "no collection"),
        (["add", path, "-c", tmp_path / "new", "--hasher", tmp_path], "holds no hasher"),
        (["sync", tmp_path / "gone"], "no such file or folder"),
        (["add", path, "-c", path, "--hasher", hasher], "a.mp4: a file, and a collection needs a"),
    ):
        result = filled(*arguments, code=1)
        (line,) = result.output.strip().splitlines()
        assert line.startswith("error: ") and message in line


@pytest.fixture
def make_another(tmp_path):
    from tiny_hasher import write_hasher

    return write_hasher(tmp_path / "another", seed=2)


def test_an_empty_collection_says_what_to_do(chain, clip, hasher):
    path = clip("a.mp4", 0)
    chain("add", path, "--hasher", hasher)
    chain("remove", path)
    hint = "collection: it holds no video yet; `chain add` adds some\n"
    assert chain("search", path, code=1).output.endswith(hint)
    assert chain("duplicates").stdout.endswith(hint)
    assert json.loads(chain("duplicates", "--json").stdout) == []
    first, *rest = chain("status").stdout.splitlines(keepends=True)
    assert first.endswith(hint) and rest[0] == "videos    0, 0 of different content, 0.0 min\n"


def test_few_videos_are_told_to_be_few(filled, clip, monkeypatch):
    query = clip("query.mp4", 1)
    assert filled("search", query).stdout.splitlines()[-1] == cli.ROUGH
    assert "rough" not in filled("search", query, "--json").stdout
    monkeypatch.setattr("chain.collection.matching.ENOUGH", 2)
    assert "rough" not in filled("search", query).stdout


def test_a_link_that_leads_round_is_told_once(chain, clip, hasher, caplog):
    folder = clip("a.mp4", 0).parent
    (folder / "back").symlink_to(folder)
    chain("add", folder, "--hasher", hasher)
    assert len([one for one in caplog.messages if "a link to a folder" in one]) == 1


def test_a_reader_that_goes_away_is_no_fault(filled, tmp_path):
    """As with `chain status | true`: nothing is said, whatever is left to print."""
    command = [sys.executable, "-m", "chain", "status", "-c", tmp_path / "collection"]
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (run.returncode, run.stderr) == (1, b"")


def test_ctrl_c_while_modules_are_loaded_is_one_line():
    program = """
import runpy, sys
class Stop:
    def find_spec(self, name, *_):
        if name == "pandas":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
sys.argv = ["chain", "status"]
runpy.run_module("chain", run_name="__main__")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False
    )
    assert (run.returncode, run.stderr) == (130, b"stopped; what was written stays\n")


def test_ctrl_c_is_one_line(filled, clip, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Collection, "add", stop)
    result = filled("add", clip("a.mp4", 0), code=130)
    assert result.stderr == "stopped; what was written stays\n"


def test_commands_without_networks_do_not_load_them(filled):
    program = (
        "import sys; from chain import cli\n"
        "try: cli.app(['status'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)

"""What dead processes left is found and removed; what living ones work on is let alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain.core.files import replacing
from chain.core.leftovers import find_leftovers, remove_leftover, size
from chain.core.scratch import scratch_folder
from stages.leftovers import leftovers

DEAD = """
import os
from pathlib import Path
from chain.core.files import replacing
from chain.core.scratch import scratch_folder
with scratch_folder("decode-mini", {}, []) as folder:
    (folder / "frames.npy").write_bytes(bytes(10**6))
    with replacing(Path("artifacts/frames/mini")) as temporary:
        temporary.mkdir()
        with replacing(temporary / "index.csv") as inner, replacing(Path("metrics/a")) as other:
            inner.write_text("half")
            other.write_text("half")
            os._exit(9)
"""


@pytest.fixture(autouse=True)
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which a process was killed while it wrote."""
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", DEAD], env=environment)
    assert done.returncode == 9
    Path("metrics/a").write_text("{}")
    Path("metrics/.mine.partial").write_text("not ours")


def test_listed_first_and_removed_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert leftovers(remove=False).startswith("leftovers: 3 of 1.0 MB; remove them with --remove")
    listed = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert [Path(name).parent for name in listed] == [
        Path(".scratch"),
        Path("artifacts/frames"),
        Path("metrics"),
    ]
    assert all(Path(name).exists() for name in listed)
    assert leftovers(remove=True).endswith("; removed")
    assert not any(Path(name).exists() for name in listed)
    assert leftovers(remove=True) == "leftovers: none"
    assert sorted(os.listdir("metrics")) == [".mine.partial", "a"]


def test_what_a_process_works_on_is_no_leftover() -> None:
    leftovers(remove=True)
    with (
        scratch_folder("decode-mini", {}, []) as folder,
        replacing(Path("artifacts/a.csv")) as temporary,
    ):
        temporary.write_text("half")
        (folder / "frames.npy").write_text("half")
        assert find_leftovers([Path("artifacts")]) == []
        remove_leftover(folder)
        assert (folder / "frames.npy").exists()
    assert Path("artifacts/a.csv").read_text() == "half"


def test_size_of_what_vanished() -> None:
    assert size(Path("nowhere")) == 0

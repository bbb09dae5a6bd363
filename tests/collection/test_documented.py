"""The program of docs/collection.md runs as it stands."""

import re
import shutil
from pathlib import Path

DOCS = (Path(__file__).parents[2] / "docs/collection.md").read_text()


def test_the_program(clip, hasher, tmp_path, monkeypatch, capsys):
    found = re.search(r"<!-- program: begin -->\s*```python\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    clip("a.mp4", 0)
    shutil.copytree(clip("b.mp4", 1).parent, tmp_path / "videos")
    shutil.copytree(hasher, tmp_path / "hasher")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(found[1], names)
    said = capsys.readouterr().out
    assert said.startswith("2 []\n") and str(tmp_path / "videos/b.mp4") in said
    assert len(names["codes"]) == 2

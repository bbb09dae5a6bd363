"""The program of docs/search.md runs as it stands."""

import re
from pathlib import Path

import numpy as np

from chain.retrieval.codes import save_codes

PAGE = (Path(__file__).parents[2] / "docs/search.md").read_text()


def test_the_program(tmp_path, monkeypatch, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    codes = np.array([[0] * 8, [255] * 8, [1] + [0] * 7, [3] + [0] * 7], np.uint8).repeat(2, axis=0)
    ids = [f"clip {number}" for number in range(8)]
    save_codes(Path("artifacts/codes/demo/chain_64"), ids, {0: codes})
    exec(program, {})
    order = " ".join(f"'clip {number}'" for number in (0, 1, 4, 5, 6, 7))
    assert " ".join(capsys.readouterr().out.split()) == f"[{order}] [0 0 1 1 2 2]"

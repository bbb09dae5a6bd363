"""Damaged inputs of the exported hasher: one line that names the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parameter_files import EXPERIMENT, profile, write_project

from chain.core import params
from chain.core.errors import InputError
from chain.core.tensors import save_tensors
from chain.methods import method_config
from chain.methods.saved_models import save_description
from chain.retrieval.codes import save_codes
from stages.export import export

INPUTS = (
    "artifacts/backbones/clips.pt",
    "artifacts/models/clips/lsh_16/seed_0.pt",
    "artifacts/models/clips/lsh_16/model.json",
    "artifacts/features/clips/train.npy",
    "artifacts/features/clips/index.csv",
    "artifacts/codes/clips/lsh_16/seed_0.npy",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with what `export` reads, as small as it can be."""
    monkeypatch.chdir(tmp_path)
    own: dict[str, Any] = {"datasets": ["clips"], "method": "lsh", "bits": 16}
    write_project(params.merge(EXPERIMENT, own), {"clips": profile("clips")})
    ids = ["a", "b", "c", "d"]
    for name in INPUTS:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"id": ids, "labels": "", "split": "train", "decoded": 9, "duration": 1.0})
    table.to_csv("artifacts/features/clips/index.csv", index=False)
    np.save("artifacts/features/clips/train.npy", np.arange(4))
    config = method_config("lsh", {"frames": 4})
    save_description(Path("artifacts/models/clips/lsh_16"), "lsh", config, 8, 16)
    for name in ("artifacts/backbones/clips.pt", "artifacts/models/clips/lsh_16/seed_0.pt"):
        save_tensors(Path(name), {})
    codes = np.random.default_rng(0).integers(0, 256, (4, 2), dtype=np.uint8)
    save_codes(Path("artifacts/codes/clips/lsh_16"), ids, {0: codes})
    return tmp_path


def test_sound_and_damaged_inputs(here: Path) -> None:
    assert export("clips", "lsh", 16).startswith("export: hasher ")
    for name in INPUTS:
        content = Path(name).read_bytes()
        for damaged in (None, b"", content[: len(content) // 2], b"\xff" * 300):
            Path(name).unlink() if damaged is None else Path(name).write_bytes(damaged)
            with pytest.raises(InputError) as raised:
                export("clips", "lsh", 16)
            message = str(raised.value)
            assert "\n" not in message
            # Half a table may be whole itself, and then does not fit to another file.
            assert name in message or (name.endswith(".csv") and "train.npy" in message)
        Path(name).write_bytes(content)
    assert export("clips", "lsh", 16)

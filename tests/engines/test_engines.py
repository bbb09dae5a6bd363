"""The choice of an engine."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from chain.core.errors import InputError
from chain.engines import uses_ray
from chain.features.bank import clip_features
from chain.features.engine import feature_computer
from chain.video.engine import decoder
from chain.video.pack import on_threads

CHOICES = [uses_ray, decoder, feature_computer]


def test_threads_by_default() -> None:
    runtime = {"engine": "threads"}
    assert not uses_ray(runtime)
    assert decoder(runtime) is on_threads
    assert feature_computer(runtime) is clip_features


def test_threads_load_nothing_of_ray() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, stages.decode, stages.features\n"
            "runtime = {'engine': 'threads'}\n"
            "stages.decode.decoder(runtime), stages.features.feature_computer(runtime)\n"
            "print([name for name in sys.modules if name.split('.')[0] == 'ray'])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("choose", CHOICES)
def test_unknown_engine(choose: Callable[..., Any]) -> None:
    message = r"^params\.yaml: runtime\.engine: expected threads or ray, not 'spark'$"
    with pytest.raises(InputError, match=message):
        choose({"engine": "spark"})


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
@pytest.mark.parametrize("choose", CHOICES)
def test_ray_not_installed(
    monkeypatch: pytest.MonkeyPatch, choose: Callable[..., Any], missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    message = r"^runtime\.engine: ray is not installed: pip install -r requirements-scale\.txt$"
    with pytest.raises(InputError, match=message):
        choose({"engine": "ray", "workers": 2})

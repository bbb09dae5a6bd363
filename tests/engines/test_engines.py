"""The choice of an engine."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.engines import uses_ray
from chain.features.bank import clip_features
from chain.features.engine import feature_computer, finite
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


def test_features_that_are_not_finite_are_refused_by_the_clip_s_name() -> None:
    values = np.ones((3, 2, 4), np.float16)
    values[2, 1, 3] = np.inf

    def compute(clips: Iterable[int], *_: Any) -> Iterator[dict[str, NDArray[np.float16]]]:
        for clip in clips:
            yield {"clean": values[clip]}

    computed = finite(compute, ["a", "b", "walk/c"])([0, 2], *[None] * 5)  # type: ignore[arg-type]
    assert next(computed)["clean"] is not None
    with pytest.raises(InputError, match=r"^walk/c: its features are not finite"):
        next(computed)

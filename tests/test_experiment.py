"""Bad parameters: one clear line that names the key."""

from pathlib import Path
from typing import Any

import pytest

from chain import params
from chain.errors import InputError
from chain.experiment import check_experiment

TREE = params.load(Path(__file__).parents[1] / "params.yaml")


def test_the_shipped_parameters_are_sound() -> None:
    assert check_experiment(TREE).dataset == TREE["dataset"]


def test_every_shipped_data_set_is_sound() -> None:
    check_experiment(params.merge(TREE, {"datasets": list(TREE["data"])}))


@pytest.mark.parametrize(
    ("change", "key", "word"),
    [
        ({"bits": 12}, "bits", "multiple of 8"),
        ({"bits": 0}, "bits", "greater than or equal to 8"),
        ({"bits": "64"}, "bits", "integer"),
        ({"bitz": 64}, "bitz", "unknown parameter"),
        ({"method": "simclr"}, "method", "simclr"),
        ({"dataset": "fcvid"}, "dataset", "fcvid"),
        ({"datasets": ["fcvid"], "dataset": "fcvid"}, "datasets", "fcvid"),
        ({"datasets": []}, "datasets", "at least 1"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"repeats": 0}, "repeats", "greater than or equal to 1"),
        ({"grid": {"methods": ["simclr"]}, "method": "chain"}, "method", "not among"),
        ({"evaluation": {"topk": [0]}}, "evaluation.topk.0", "greater than or equal to 1"),
        ({"methods": {"chain": {"samplng": 1}}}, "methods.chain.samplng", "unknown parameter"),
        ({"methods": {"chain": {"sampling": "all"}}}, "methods.chain.sampling", "segment"),
        (
            {"data": {"demo": {"bank": {"spatial": ["per_frame"]}}}},
            "methods.chain.spatial",
            "bank",
        ),
        ({"ablations": {"datasets": ["clips"]}}, "ablations.datasets", "not among datasets"),
        ({"ablations": {"chain": {"tasks": {"default": {}}}}}, "ablations.chain.tasks", "default"),
        ({"augment": {"crop_scale": 0.3}}, "crop_scale", "greater than"),
        ({"ablations": {"tables": ["tusks"]}}, "ablations.tables", "not under"),
        (
            {"ablations": {"chain": {"tasks": {"contrastive": {"wights": {}}}}}},
            "methods.chain.wights",
            "unknown parameter",
        ),
        (
            {"grid": {"methods": ["lsh", "conmh"]}, "method": "conmh"},
            "grid.methods",
            "has to be among them",
        ),
        ({"methods": {"chain": {"temperature": 0.0}}}, "methods.chain.temperature", "greater"),
        ({"methods": {"chain": {"training": {"optimiser": "sgd"}}}}, "training.optimiser", "adam"),
        ({"data": {"demo": {"backbone": {"name": "resnet5"}}}}, "backbone.name", "resnet50"),
        ({"data": {"demo": {"source": {"kind": "web"}}}}, "source.kind", "folder"),
        ({"data": {"demo": {"source": {"size": 30}}}}, "source.size", "multiple of 16"),
        ({"data": {"demo": {"decode": {"frames": 4}}}}, "frames", "decode.frames"),
        (
            {"data": {"demo": {"decode": {"max_bad": 1.5}}}},
            "decode.max_bad",
            "less than or equal to 1",
        ),
        ({"runtime": {"threads": 0}}, "runtime.threads", "greater"),
    ],
)
def test_bad_parameters_are_named_in_one_line(change: dict[str, Any], key: str, word: str) -> None:
    with pytest.raises(InputError) as error:
        check_experiment(params.merge(TREE, change))
    message = str(error.value)
    assert message.startswith("params.yaml: ")
    assert key in message
    assert word in message
    assert "\n" not in message

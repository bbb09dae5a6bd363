"""Bad parameters: one clear line that names the key."""

from pathlib import Path
from typing import Any

import pytest

from chain.core import params
from chain.core.errors import InputError
from chain.pipeline.schema import check_experiment

TREE = params.load(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture(autouse=True)
def _no_device_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAIN_DEVICE", raising=False)


def test_the_shipped_parameters_are_sound() -> None:
    assert check_experiment(TREE).dataset == TREE["dataset"]


def test_every_shipped_data_set_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/weights").mkdir(parents=True)
    (tmp_path / "data/weights/mobilenet_v2.pth").touch()
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
            "params.yaml: ablations.chain.tasks.contrastive.wights",
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
        ({"runtime": {"device": "warp"}}, "params.yaml: runtime.device: 'warp'", "device"),
        ({"datasets": ["demo", "clips", "demo"]}, "datasets", "'demo' is listed twice"),
        ({"grid": {"methods": ["chain", "lsh", "lsh"]}}, "grid.methods", "'lsh' is listed twice"),
        ({"data": {"demo": {"methods": {"chian": {}}}}}, "data.demo.methods", "'chian' is no met"),
        (
            {"data": {"demo": {"methods": {"all": {"frames": 0}}}}},
            "params.yaml: data.demo.methods.all.frames",
            "greater",
        ),
        (
            {"data": {"demo": {"methods": {"chain": {"training": {"epoch": 3}}}}}},
            "params.yaml: data.demo.methods.chain.training.epoch",
            "unknown parameter",
        ),
        (
            {"data": {"demo": {"backbone": {"weights": "IMAGENET1K_V9"}}}},
            "params.yaml: data.demo.backbone.weights: 'IMAGENET1K_V9'",
            "neither a file nor weights of mobilenet_v3_small (IMAGENET1K_V1",
        ),
        (
            {"data": {"demo": {"backbone": {"weights": "gone/weights.pth"}}}},
            "data.demo.backbone.weights",
            "neither a file",
        ),
        (
            {"data": {"demo": {"backbone": {"weights": "https://example.org/weights.pth"}}}},
            "data.demo.backbone",
            "sha256",
        ),
        ({"data": {"demo": {"backbone": {"mean": None}}}}, "data.demo.backbone.mean", "missing"),
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


def test_weights_of_unused_data_sets_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    unused = {"data": {"clips": {"backbone": {"weights": "gone.pth"}}}}
    check_experiment(params.merge(TREE, unused))
    with pytest.raises(InputError, match=r"data.clips.backbone.weights: 'gone.pth' is neither"):
        check_experiment(params.merge(TREE, unused, {"datasets": ["demo", "clips"]}))


def test_device_of_the_environment_is_checked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    check_experiment(params.merge(TREE, {"runtime": {"device": "warp"}}))
    monkeypatch.setenv("CHAIN_DEVICE", "warp")
    with pytest.raises(InputError, match=r"^CHAIN_DEVICE: 'warp'"):
        check_experiment(TREE)


def test_overrides_are_judged_together() -> None:
    alone = {"grid": {"methods": ["chain"]}, "ablations": {"datasets": []}}
    alone |= {"data": {"demo": {"methods": {"all": {"encoder": {"heads": 300}}}}}}
    with pytest.raises(InputError, match=r"data.demo.methods.chain.encoder: 300 heads"):
        check_experiment(params.merge(TREE, alone))
    mended = {"data": {"demo": {"methods": {"chain": {"encoder": {"heads": 4}}}}}}
    check_experiment(params.merge(TREE, alone, mended))

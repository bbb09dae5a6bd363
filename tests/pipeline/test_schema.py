"""Bad parameters: one clear line that names the file and the key."""

from pathlib import Path
from typing import Any

import pytest
from checking import checked
from parameter_files import EXPERIMENT, profile, write_project

from chain.core import params
from chain.core.errors import InputError
from chain.pipeline.schema import Checked

BTH_TERMS = ("reconstruction", "neighbourhood", "anchor")


def refused(change: dict[str, Any], own: dict[str, Any]) -> str:
    """The message about changes of `params.yaml` and of the demo's profile."""
    with pytest.raises(InputError) as error:
        checked(change, {"demo": own})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"bits": 12}, "bits", "multiple of 8"),
        ({"bits": 0}, "bits", "greater than or equal to 8"),
        ({"bits": "64"}, "bits", "integer"),
        ({"bitz": 64}, "bitz", "unknown parameter"),
        ({"data": {}}, "data", "unknown parameter"),
        ({"datasets": []}, "datasets", "at least 1"),
        ({"datasets": ["demo;touch X"]}, "datasets.0", "only letters"),
        ({"datasets": ["../demo"]}, "datasets.0", "only letters"),
        ({"datasets": ["-x"]}, "datasets.0", "no - in front"),
        ({"datasets": ["demo\n"]}, "datasets.0", "only letters"),
        ({"datasets": ["demo", "clips", "demo"]}, "datasets", "'demo' is listed twice"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"seed": 2**32}, "seed", "less than 4294967296"),
        ({"seed": 2**32 - 1}, "repeats", "more than 2**32; lower it"),
        ({"figures": {"seed": 2**32}}, "figures.seed", "less than 4294967296"),
        ({"repeats": 0}, "repeats", "greater than or equal to 1"),
        ({"grid": {"methods": []}}, "grid.methods", "at least 1"),
        ({"grid": {"methods": ["chain", "lsh", "lsh"]}}, "grid.methods", "'lsh' is listed twice"),
        (
            {"grid": {"methods": ["lsh", "conmh"]}, "method": "conmh"},
            "grid.methods",
            "'chain' has to be among them",
        ),
        ({"grid": {"methods": ["lsh"]}}, "method", "'chain' not among grid.methods (there: lsh)"),
        ({"evaluation": {"topk": []}}, "evaluation.topk", "at least 1"),
        ({"evaluation": {"topk": [0]}}, "evaluation.topk.0", "greater than or equal to 1"),
        ({"evaluation": {"topk": [20, 5, 20]}}, "evaluation.topk", "20 is listed twice"),
        ({"figures": {"k": 7}}, "figures.k", "7 is not among [5, 10, 20, "),
        ({"methods": {"chain": {"samplng": 1}}}, "methods.chain.samplng", "unknown parameter"),
        ({"methods": {"chain": {"sampling": "all"}}}, "methods.chain.sampling", "segment"),
        ({"methods": {"chain": {"temperature": 0.0}}}, "methods.chain.temperature", "greater"),
        ({"methods": {"chain": 3}}, "methods.chain", "dictionary"),
        ({"methods": {"s5vh": {"junk": 1}}}, "methods.s5vh.junk", "unknown parameter"),
        ({"methods": {"s5vh": {"centres": "none"}}}, "methods.s5vh.centres", "fixed"),
        (
            {"methods": {"bth": {"weights": dict.fromkeys(BTH_TERMS, 0.0)}}},
            "methods.bth.weights",
            "all are 0, so there is nothing to learn",
        ),
        (
            {"methods": {"all": {"training": {"optimiser": "sgd"}}}},
            "methods.all.training.optimiser",
            "adam",
        ),
        ({"ablations": {"datasets": ["demo"]}}, "ablations.datasets", "unknown parameter"),
        ({"ablations": {"tables": ["tusks"]}}, "ablations.tables", "'tusks' is not under"),
        ({"ablations": {"tables": ["tasks"] * 2}}, "ablations.tables", "'tasks' is listed twice"),
        (
            {"ablations": {"variants": {"chain": {"tasks": {"default": {}}}}}},
            "ablations.variants.chain.tasks",
            "default is the method without a change",
        ),
        (
            {"ablations": {"variants": {"chain": {"tasks": {"contrastive": {"wights": {}}}}}}},
            "ablations.variants.chain.tasks.contrastive.wights",
            "unknown parameter",
        ),
        (
            {"ablations": {"variants": {"chain": {"not_made": {"mine": {"junk": 1}}}}}},
            "ablations.variants.chain.not_made.mine.junk",
            "unknown parameter",
        ),
        (
            {"ablations": {"variants": {"chain": {"tasks": {"../../x": {}}}}}},
            "ablations.variants.chain.tasks.../../x.[key]",
            "only letters",
        ),
        (
            {"ablations": {"variants": {"chain": {"a|b": {"mine": {}}}}}},
            "ablations.variants.chain.a|b.[key]",
            "only letters",
        ),
        ({"ablations": {"tables": ["a b"]}}, "ablations.tables.0", "only letters"),
        (
            {"ablations": {"variants": {"chain_plus": {"tasks": {"mine": {}}}}}},
            "ablations",
            "'tasks' is listed twice",
        ),
        (
            {"ablations": {"variants": {"chain": {"tasks": {"contrastive": {"frames": 99}}}}}},
            None,
            "decode.frames: 16 is less than the 99 frames of "
            "ablations.variants.chain.tasks.contrastive",
        ),
        ({"augment": {"crop_scale": 0.3}}, "augment, 1.5 times as strong", "greater than"),
        ({"runtime": {"threads": 0}}, "runtime.threads", "greater"),
        ({"runtime": {"device": "warp"}}, "runtime.device", "'warp'"),
        ({"runtime": {"device": "meta"}}, "runtime.device", "one of cpu, cuda"),
        ({"runtime": {"engine": "spark"}}, "runtime.engine", "ray"),
        ({"search": {"kind": "tree"}}, "search.kind", "ivf"),
    ],
)
def test_bad_experiments(change: dict[str, Any], key: str | None, words: str) -> None:
    start = f"params.yaml: {key}" if key else "params/demo.yaml: "
    message = refused(change, {})
    assert message.startswith(start) and message[len(start)] in ".: " + words[0]
    assert words in message


@pytest.mark.parametrize(
    "change",
    [
        {"method": "simclr"},
        {"grid": {"methods": ["chain", "simclr"]}},
        {"ablations": {"variants": {"simclr": {"mine": {"variant": {}}}}}},
    ],
)
def test_unknown_methods(change: dict[str, Any]) -> None:
    message = refused(change, {})
    assert message.startswith("params.yaml: unknown method 'simclr'; known: lsh, pca_itq, ")


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"extra": 1}, "extra", "unknown parameter; known: source, roles, decode"),
        ({"roles": {"test": "x"}}, "roles.test", "unknown parameter"),
        ({"source": {"kind": "web"}}, "source.kind", "known: demo, folder"),
        ({"source": {"size": 30}}, "source.size", "multiple of 16"),
        ({"source": {"download": True}}, "source.files", "no address"),
        ({"decode": {"max_bad": 1.5}}, "decode.max_bad", "less than or equal to 1"),
        ({"decode": {"frames": 4}}, "decode.frames", "4 is less than the 8 frames of methods.lsh"),
        ({"bank": {"views": 0}}, "bank.views", "greater"),
        (
            {"bank": {"spatial": ["per_frame"]}},
            "bank.spatial",
            "'consistent' is not among them, but methods.chain asks for it",
        ),
        ({"backbone": {"name": "resnet5"}}, "backbone.name", "resnet50"),
        (
            {"backbone": {"weights": "IMAGENET1K_V9"}},
            "backbone.weights",
            "'IMAGENET1K_V9' is neither a file nor weights of mobilenet_v3_small (IMAGENET1K_V1",
        ),
        ({"backbone": {"weights": "gone/weights.pth"}}, "backbone.weights", "neither a file"),
        ({"backbone": {"weights": "https://example.org/w.pth"}}, "backbone", "sha256"),
        ({"backbone": {"size": None}}, "backbone.size", "missing"),
        ({"backbone": {"mean": [0.5, 0.5]}}, "backbone.mean", "three numbers"),
        ({"backbone": {"mean": [123.7, 116.3, 103.5]}}, "backbone.mean", "divide"),
        ({"backbone": {"std": [58.4, 57.1, 57.4]}}, "backbone.std", "divide"),
        ({"bank": {"seed": 2**32}}, "bank.seed", "less than"),
        ({"methods": {"chain_plus": {"parts": 17}}}, "decode.frames", "chain_plus.parts, 17"),
        ({"methods": {"s5vh": {"junk": 1}}}, "methods.s5vh.junk", "unknown parameter"),
        ({"methods": {"chian": {}}}, "methods", "'chian' is no method"),
        ({"methods": {"all": {"frames": 0}}}, "methods.all.frames", "greater"),
        (
            {"methods": {"chain": {"training": {"epoch": 3}}}},
            "methods.chain.training.epoch",
            "unknown parameter",
        ),
    ],
)
def test_bad_profiles(change: dict[str, Any], key: str, words: str) -> None:
    message = refused({}, change)
    assert message.startswith(f"params/demo.yaml: {key}: ")
    assert words in message


def test_the_profile_of_another_data_set_is_named() -> None:
    with pytest.raises(InputError, match=r"^params/clips\.yaml: decode\.frames: 7 is less than"):
        checked({"datasets": ["demo", "clips"]}, {"clips": {"decode": {"frames": 7}}})


def test_only_profiles_of_this_run_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = {"backbone": {"weights": "gone.pth"}}
    write_project({}, {"demo": profile("demo"), "clips": params.merge(profile("clips"), gone)})

    def check(*datasets: str) -> None:
        tree = EXPERIMENT | {"datasets": list(datasets)}
        Checked(tree, lambda name: params.load(params.profile_path(name)))

    check("demo")
    with pytest.raises(InputError, match=r"^params/clips\.yaml: backbone\.weights: 'gone.pth' is"):
        check("demo", "clips")
    with pytest.raises(InputError, match=r"^params/fcvid\.yaml: no such file$"):
        check("demo", "fcvid")


def test_device_of_the_environment_is_checked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    checked({"runtime": {"device": "warp"}})
    monkeypatch.setenv("CHAIN_DEVICE", "warp")
    with pytest.raises(InputError, match=r"^CHAIN_DEVICE: 'warp'"):
        checked()


def test_a_method_outside_the_grid_may_be_unfit_for_the_data_set() -> None:
    """Four frames leave nothing to mask for WSCH, which matters only where it is trained."""
    unfit = {"methods": {"all": {"frames": 1}}}
    grid = {"grid": {"methods": ["chain", "lsh"]}, "ablations": {"tables": []}}
    checked(grid, {"demo": unfit})
    with pytest.raises(InputError, match="methods"):
        checked({}, {"demo": unfit})


def test_layers_are_judged_together() -> None:
    """What one layer breaks, a later one may mend."""
    broken = {"methods": {"all": {"encoder": {"heads": 300}}}}
    with pytest.raises(InputError, match=r"^params/demo\.yaml: methods\.all\.encoder: 300 heads"):
        checked({}, {"demo": broken})
    mended = {name: {"encoder": {"heads": 4}} for name in ("conmh", "wsch", "chain", "chain_plus")}
    checked({}, {"demo": params.merge(broken, {"methods": mended})})

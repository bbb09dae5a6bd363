"""Sizes that follow the number of training clips."""

import math
from functools import cache
from typing import Any

import pytest
from checking import checked
from parameter_files import profile

from chain.core.params import leaves
from chain.methods import METHODS, method_class
from chain.pipeline.fit import KEYS, PUBLISHED_FROM, Limits, fitted
from chain.pipeline.recipes import UNCHANGED
from chain.pipeline.schema import Checked

COUNTS = (6, 7, 12, 28, 30, 63, 64, 350, 799, 1601, 5000, 9999, 10_000, 60_000)


@cache
def clips_profile() -> Checked:
    return checked({"datasets": ["clips"], "grid": {"methods": list(METHODS)}})


def of_clips(method: str, clips: int) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The published and the fitted parameters, by dotted key, and the keys that are fitted."""
    found = clips_profile()
    published = found.config("clips", method).model_dump(mode="json")
    keys = found.fits("clips", method)[UNCHANGED]
    tree = fitted(published, set(keys), clips)
    method_class(method).Config.model_validate(tree)
    return leaves(published), leaves(tree), keys


@pytest.mark.parametrize(
    ("clips", "limits"),
    [
        (12, Limits(8, 5, 1, 256, 360)),
        (30, Limits(16, 6, 1, 256, 360)),
        (350, Limits(64, 70, 1, 256, 360)),
        (2400, Limits(128, 480, 3, 256, 2400)),
        (5120, Limits(128, 1024, 6, 512, 5120)),
    ],
)
def test_limits_by_hand(clips: int, limits: Limits) -> None:
    assert Limits.of(clips) == limits


def test_jhmdb12_would_have_about_its_own_sizes() -> None:
    """Those that its profile states, for 350 training clips."""
    _, chain, _ = of_clips("chain", 350)
    assert (chain["training.batch"], chain["training.epochs"]) == (64, 60)  # 360 steps
    assert (chain["encoder.width"], chain["encoder.depth"]) == (256, 1)
    assert chain["frames"] == 8 and chain["training.lr"] == 0.0005
    _, bth, _ = of_clips("bth", 350)
    assert (bth["anchors"], bth["training.epochs"], bth["pretrain_epochs"]) == (70, 180, 90)
    assert bth["training.lr"] == 0.0005
    _, autossvh, _ = of_clips("autossvh", 350)
    assert autossvh["prototypes"] == [18, 35, 70] and autossvh["warmup_epochs"] == 7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clips", COUNTS)
def test_every_method_can_train_on_any_number_of_clips(method: str, clips: int) -> None:
    published, found, keys = of_clips(method, clips)
    assert set(keys) <= KEYS
    assert {key: value for key, value in found.items() if key not in keys} == {
        key: value for key, value in published.items() if key not in keys
    }
    if clips >= PUBLISHED_FROM:
        assert found == published
    for key in ("anchors", "clusters", "prototypes"):
        if key in found:
            most = max(found[key]) if key == "prototypes" else found[key]
            assert most < clips
    if "training.batch" in found:
        assert 2 <= found["training.batch"] <= clips
        epoch = math.ceil(clips / found["training.batch"])
        assert found["training.epochs"] * epoch >= 360


@pytest.mark.parametrize("method", METHODS)
def test_sizes_grow_with_the_clips(method: str) -> None:
    sizes = [of_clips(method, clips)[1] for clips in COUNTS]
    for key in ("training.batch", "encoder.depth", "encoder.width", "clusters", "anchors", "width"):
        values = [size[key] for size in sizes if key in size]
        assert values == sorted(values)


def test_a_number_in_the_profile_holds() -> None:
    changed = checked(
        {"datasets": ["clips"]},
        {
            "clips": {
                "methods": {"all": {"training": {"batch": 4}}, "chain": {"encoder": {"depth": 3}}}
            }
        },
    )
    keys = changed.fits("clips", "chain")[UNCHANGED]
    assert "training.batch" not in keys and "encoder.depth" not in keys
    tree = fitted(changed.config("clips", "chain").model_dump(), set(keys), 30)
    assert tree["training"]["batch"] == 4 and tree["encoder"]["depth"] == 3
    assert tree["training"]["epochs"] == 45  # 8 steps an epoch


def test_phases_have_their_share_of_epochs_that_a_profile_states() -> None:
    methods = {"all": {"training": {"epochs": 20}}}
    found = checked(
        {"datasets": ["clips"], "grid": {"methods": list(METHODS)}},
        {"clips": {"methods": methods}},
    )
    for method, key, phase in (("bth", "pretrain_epochs", 10), ("wsch", "warmup_epochs", 2)):
        published = found.config("clips", method).model_dump(mode="json")
        tree = fitted(published, set(found.fits("clips", method)[UNCHANGED]), 350)
        assert published[key] == tree[key] == phase
        assert tree["training"]["epochs"] == 20


def test_an_ablation_s_own_number_holds() -> None:
    variants = {"chain": {"size": {"wide": {"encoder": {"width": 512}}, "as_is": {}}}}
    found = checked(
        {"datasets": ["clips"], "ablations": {"tables": ["size"], "variants": variants}}
    )
    keys = found.fits("clips", "chain", "size")
    assert set(keys["as_is"]) - set(keys["wide"]) == {"encoder.width"}
    assert found.variants("clips", "size")[1]["wide"].model_dump()["encoder"]["width"] == 512


def test_nothing_changes_where_nothing_says_fit() -> None:
    for dataset in ("demo", "jhmdb12", "ucf101"):
        assert "fit" not in str(profile(dataset)["methods"])
    tree = {"training": {"batch": 512}}
    assert fitted(tree, set(), 3) == tree


def test_the_published_tree_stays_as_it_was() -> None:
    tree = {"training": {"batch": 512, "epochs": 800, "lr": 0.1}}
    found = fitted(tree, {"training.batch"}, 30)
    assert found["training"] == {"batch": 16, "epochs": 800, "lr": 0.1}
    assert tree["training"]["batch"] == 512

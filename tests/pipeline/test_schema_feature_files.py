"""The checks on a data set of ready-made features: no decode, backbone and bank, no pixel draws."""

from typing import Any

import pytest
from checking import checked
from parameter_files import profile

from chain.core import params
from chain.core.errors import InputError
from chain.pipeline.schema import Checked

BOTH = {"datasets": ["demo", "mini"]}
MINI: dict[str, Any] = {
    "source": {
        "kind": "features",
        "root": "mini",
        "frames": 25,
        "width": 4096,
        "splits": {"train": {"features": ["train.h5"]}},
    },
    "roles": {"database": None, "query": None},
    "decode": None,
    "backbone": None,
    "bank": None,
    "methods": {"chain": {"spatial": "feature"}, "chain_plus": {"spatial": "none"}},
}


def mini(experiment: dict[str, Any] | None = None, **changes: Any) -> Checked:
    return checked(params.merge(BOTH, experiment or {}), mini=params.merge(MINI, changes))


def test_ready_made_features_need_no_decode_backbone_and_bank() -> None:
    assert mini().profiles["mini"].bank is None


@pytest.mark.parametrize("key", ["decode", "backbone", "bank"])
def test_clips_have_all_three_and_features_none(key: str) -> None:
    with pytest.raises(InputError, match=rf"^params/mini\.yaml: {key}: has to be null: "):
        mini(**{key: profile("demo")[key]})
    clips = {**profile("demo"), key: None}
    with pytest.raises(InputError, match=rf"^params/clips2\.yaml: {key}: null: only ready-made"):
        checked({"datasets": ["clips2"]}, clips2=clips)
    del clips[key]
    with pytest.raises(InputError, match=rf"^params/clips2\.yaml: {key}: missing"):
        checked({"datasets": ["clips2"]}, clips2=clips)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"source": {"frames": 24}},
            "params/mini.yaml: source.frames: 24 is less than the 25 frames of methods.lsh",
        ),
        (
            {"methods": {"chain": {"spatial": "consistent"}}},
            "params/mini.yaml: methods.chain.spatial: 'consistent' needs pixels, which ready-made "
            "features lack; set methods.all.spatial to 'feature'",
        ),
        (
            {"methods": {"chain_plus": {"spatial": "weak"}}},
            "params/mini.yaml: methods.chain_plus.spatial: 'weak' needs pixels, which ready-made "
            "features lack; set methods.all.spatial to 'feature'",
        ),
        ({"source": {"width": 0}}, "params/mini.yaml: source.width: "),
    ],
)
def test_what_ready_made_features_cannot_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        mini(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_ablations_that_need_pixels_are_left_out_and_named() -> None:
    found = mini({"ablations": {"tables": ["tasks", "spatial", "strength", "sampling"]}})
    names = {
        table: list(found.variants("mini", table)[1]) for table in found.experiment.ablations.tables
    }
    assert names == {
        "tasks": ["contrastive", "contrastive_order", "contrastive_scene", "order_scene"],
        "spatial": ["none", "feature"],
        "strength": [],
        "sampling": ["random", "consecutive"],
    }
    assert found.left_out == [
        "ablations left out on mini: spatial.per_frame, strength.weak, strength.strong"
    ]

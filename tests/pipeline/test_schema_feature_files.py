"""The checks on a data set of ready-made features: no decode, backbone and bank, no pixel draws."""

from pathlib import Path
from typing import Any

import pytest

from chain.core import params
from chain.core.errors import InputError
from chain.pipeline.schema import check_experiment

TREE = params.load(Path(__file__).parents[2] / "params.yaml")
MINI: dict[str, Any] = {
    "download": False,
    "downloads": {},
    "source": {
        "kind": "features",
        "root": "mini",
        "frames": 25,
        "width": 4096,
        "splits": {"train": {"features": ["train.h5"]}},
    },
    "roles": {"train": "train", "database": None, "query": None},
    "decode": None,
    "backbone": None,
    "bank": None,
    "methods": {
        **{method: {} for method in ("all", *TREE["methods"])},
        "chain": {"spatial": "feature"},
        "chain_plus": {"spatial": "none"},
    },
}


def tree(**changes: Any) -> dict[str, Any]:
    mini = params.merge(MINI, changes)
    return {**TREE, "datasets": ["demo", "mini"], "data": {**TREE["data"], "mini": mini}}


def test_ready_made_features_need_no_decode_backbone_and_bank() -> None:
    assert check_experiment(tree()).data["mini"].bank is None


@pytest.mark.parametrize("key", ["decode", "backbone", "bank"])
def test_clips_have_all_three_and_features_none(key: str) -> None:
    with pytest.raises(InputError, match=rf"^params\.yaml: data\.mini\.{key}: has to be null: "):
        check_experiment(tree(**{key: TREE["data"]["demo"][key]}))
    demo = {**TREE["data"]["demo"], key: None}
    with pytest.raises(InputError, match=rf"^params\.yaml: data\.demo\.{key}: null: only ready"):
        check_experiment({**TREE, "data": {"demo": demo}})
    del demo[key]
    with pytest.raises(InputError, match=rf"data\.demo\.{key}: missing"):
        check_experiment({**TREE, "data": {"demo": demo}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"source": {"frames": 24}},
            "params.yaml: methods.lsh.frames: 25 is more than the 24 of data.mini.source.frames",
        ),
        (
            {"methods": {"chain": {"spatial": "consistent"}}},
            "params.yaml: methods.chain.spatial: 'consistent' needs pixels, which ready-made "
            "features lack; set data.mini.methods.chain.spatial to 'feature' or 'none'",
        ),
        (
            {"methods": {"chain_plus": {"spatial": "weak"}}},
            "params.yaml: methods.chain_plus.spatial: 'weak' needs pixels, which ready-made "
            "features lack; set data.mini.methods.chain_plus.spatial to 'feature' or 'none'",
        ),
        ({"source": {"width": 0}}, "params.yaml: data.mini.source.width: "),
    ],
)
def test_what_ready_made_features_cannot_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_experiment(tree(**changes))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_ablations_that_need_pixels_are_refused() -> None:
    ablations = {"ablations": {"datasets": ["mini"], "tables": ["tasks", "scene"]}}
    check_experiment(params.merge(tree(), ablations))
    ablations["ablations"]["tables"].append("strength")
    with pytest.raises(InputError, match=r"'weak' needs pixels, .*; leave out this ablation$"):
        check_experiment(params.merge(tree(), ablations))

from typing import Any

import pytest

from chain.analysis.variants import AblationsConfig, Variants
from chain.core.errors import InputError
from chain.core.params import parse


def test_variants_are_nested_changes_by_name() -> None:
    tree: dict[str, Any] = {
        "datasets": ["demo"],
        "tables": ["tasks"],
        "chain": {"tasks": {"alone": {"weights": {"order": 0.0}}}},
        "chain_plus": {},
    }
    config = parse(AblationsConfig, tree, "ablations")
    assert config.chain["tasks"].root == tree["chain"]["tasks"]
    for changed, key in (
        ({"chain": {"tasks": {"alone": 0.5}}}, r"chain.tasks.alone"),
        ({"tables": "tasks"}, r"tables"),
        ({"tabels": []}, r"tabels: unknown parameter"),
    ):
        with pytest.raises(InputError, match=f"params.yaml: ablations.{key}"):
            parse(AblationsConfig, tree | changed, "ablations")
    with pytest.raises(InputError, match=r"params.yaml: ablations.chain.tasks.alone"):
        parse(Variants, {"alone": 0.5}, "ablations.chain.tasks")


def test_no_variant_is_called_default() -> None:
    with pytest.raises(InputError, match="default is the method without a change"):
        parse(Variants, {"default": {"frames": 8}}, "ablations.chain.tasks")

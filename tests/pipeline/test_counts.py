"""Too few training clips for what a method asks, held against what the training itself refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_methods import small, small_store

from chain.core.errors import InputError
from chain.methods import METHODS, method_class, method_config
from chain.pipeline.counts import FEW, advice, check_counts
from chain.training.loop import build, train
from chain.views.store import FeatureStore

BITS = 8


def refused(name: str, batch: int, clips: int) -> str:
    config = method_config(name, small(name, batch=batch))
    try:
        check_counts(config, clips, f"params/x.yaml: methods.{name}")
    except InputError as error:
        return str(error)
    return ""


def store_of(clips: int) -> FeatureStore:
    whole = small_store()
    banks = {name: bank[:clips] for name, bank in whole.banks.items()}
    return replace(whole, train=np.arange(2, 2 + clips), banks=banks)


@pytest.mark.parametrize("batch", [2, 12])
@pytest.mark.parametrize("name", METHODS)
def test_what_is_refused_early_is_what_the_training_refuses(
    name: str, batch: int, tmp_path: Path
) -> None:
    config = method_config(name, small(name, batch=batch))
    for clips in range(2, 14):
        fails = False
        try:
            model = build(method_class(name), config, store_of(clips), BITS, 0)
            if config.training and clips < config.training.batch:
                train(model, store_of(clips), 0, torch.device("cpu"), tmp_path)
        except InputError:
            fails = True
        assert bool(refused(name, batch, clips)) == fails, clips


def test_the_message_has_key_value_and_remedy() -> None:
    assert refused("chain", 12, 12) == ""
    assert refused("chain", 12, 11) == (
        "params/x.yaml: methods.chain.training.batch is 12, which needs 12 training clips, but "
        "there are 11; lower it or add clips"
    )
    assert refused("autossvh", 2, 6).startswith(
        "params/x.yaml: methods.autossvh.prototypes is 6, which needs 7 training clips"
    )


def test_few_clips_are_advised() -> None:
    assert advice(FEW) is None
    hint = advice(FEW - 1)
    assert hint and "fewer than 200 training clips, pca_itq_halves" in hint

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import parse
from chain.methods.base import MethodConfig
from chain.methods.pca_itq import PCAITQ, PCAITQConfig
from chain.methods.pca_itq_halves import PCAITQHalves, PCAITQHalvesConfig
from chain.views.store import FeatureStore

CLIPS, WIDTH = 60, 6
DRIFT = np.linspace(-1, 1, 5)[:, None]


def moving(seed: int = 0) -> FeatureStore:
    """Clips of five frames whose features drift, in a direction of each clip's own."""
    random = np.random.default_rng(seed)
    clean = random.normal(size=(CLIPS, 1, WIDTH)) + DRIFT * random.normal(size=(CLIPS, 1, WIDTH))
    index = pd.DataFrame({"id": range(CLIPS)})
    return FeatureStore(index, clean.astype(np.float16), np.arange(CLIPS), {})


def fitted(
    kind: type[PCAITQ], config: PCAITQConfig, store: FeatureStore, bits: int, width: int = WIDTH
) -> PCAITQ:
    torch.manual_seed(0)
    model = kind(config, width, bits)
    model.fit(store)
    return model


def halves(store: FeatureStore, bits: int = 8, frames: int = 5) -> PCAITQ:
    return fitted(PCAITQHalves, PCAITQHalvesConfig(frames=frames, iterations=5), store, bits)


def features(store: FeatureStore) -> Tensor:
    return torch.from_numpy(store.clean).float()


def test_mean_features_by_hand() -> None:
    """The middle one of three frames belongs to the first half."""
    model = PCAITQHalves(PCAITQHalvesConfig(frames=3, iterations=1), 2, 2)
    clip = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [5.0, 60.0]]])
    assert model.part_means(clip).tolist() == [[2.0, 15.0, 5.0, 60.0]]


def test_codes_are_those_of_pca_itq_on_joined_halves() -> None:
    """A slow twin: each clip becomes a single frame of twice the width, by plain loops."""
    store = moving()
    joined = np.array(
        [
            [[*np.mean(clip[:3], axis=0, dtype=float), *np.mean(clip[3:], axis=0, dtype=float)]]
            for clip in store.clean
        ]
    )
    single = FeatureStore(store.index, joined, store.train, {})
    twin = fitted(PCAITQ, PCAITQConfig(frames=1, iterations=5), single, 8, 2 * WIDTH)
    got = halves(store).encode(features(store))
    torch.testing.assert_close(got, twin.encode(features(single)), atol=1e-4, rtol=1e-4)


def test_a_clip_and_its_reversal_have_other_codes_than_under_pca_itq() -> None:
    store = moving()
    clips = features(store)
    whole = fitted(PCAITQ, PCAITQConfig(frames=5, iterations=5), store, 4)
    torch.testing.assert_close(whole.encode(clips.flip(1)), whole.encode(clips))
    model = halves(store)
    changed = (model.encode(clips) > 0) != (model.encode(clips.flip(1)) > 0)
    assert changed.any(dim=1).float().mean() > 0.9


def test_there_may_be_twice_as_many_bits_as_features() -> None:
    assert halves(moving(), bits=2 * WIDTH).encode(torch.zeros(2, 5, WIDTH)).shape == (2, 12)
    with pytest.raises(InputError, match=r"bits is 13, but the features have only 12 dimensions"):
        halves(moving(), bits=2 * WIDTH + 1)


def test_a_half_needs_a_frame() -> None:
    schema: type[MethodConfig] = PCAITQHalves.Config
    with pytest.raises(InputError, match=r"methods.pca_itq_halves.frames: .*greater than or equal"):
        parse(schema, {"frames": 1, "iterations": 5}, "methods.pca_itq_halves")
    assert halves(moving(), frames=2).encode(torch.zeros(1, 2, WIDTH)).shape == (1, 8)

"""Updates: what is learned, what is held, and what is refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_methods import small
from tiny_hasher import TRAINED, tiny_store

from chain import Hasher
from chain.core.errors import InputError
from chain.hasher import update as module
from chain.hasher.update import Memory, Update, contrast_with_stored, fine_tune, update
from chain.methods import method_class, method_config
from chain.methods.base import Method, MethodConfig
from chain.retrieval.codes import Codes, pack, save_codes, take
from chain.training.encode import encode_store
from chain.training.loop import build
from stages.update import update_hasher

CPU = torch.device("cpu")
OLD = 28  # of the 40 training clips


def stored_codes(model: Method) -> Codes:
    store = tiny_store()
    ids = store.index["id"].to_numpy(dtype=np.str_)
    return take(Codes(ids, pack(encode_store(model, store, CPU))), np.arange(OLD))


def trained(method: str, **training: Any) -> Method:
    config = method_config(method, small(method, **training))
    return build(method_class(method), config, tiny_store(), 32, seed=0)


class Given(Method):
    """Its values are the features themselves."""

    Config = MethodConfig

    def losses(self, *batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": batch[0]}

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean(dim=1)


STORED = torch.tensor([[1.0, 1.0], [1.0, -1.0]])


def test_the_contrast_by_hand():
    values = torch.tensor([[0.0, -0.3], [4.0, 4.0]])  # an old clip, whose code is row 1; a new one
    half = 0.5**0.5  # cosine of (0, -1) with (1, -1); with (1, 1) it is its negative
    old = math.log((math.exp(-half / 0.5) + math.exp(half / 0.5)) / 2) - half / 0.5
    new = math.log((math.exp(1 / 0.5) + math.exp(0)) / 2)
    found = contrast_with_stored(values, STORED, torch.tensor([1]), 0.5)
    assert float(found) == pytest.approx((old + new) / 2)


def test_old_clips_move_to_their_own_code_and_new_ones_away_from_the_nearest():
    values = torch.tensor([[0.9, 0.1], [0.9, 0.1]], requires_grad=True)  # nearer to row 0
    contrast_with_stored(values, STORED, torch.tensor([1]), 0.2).backward()
    assert values.grad is not None
    towards = -(F.normalize(values.grad, dim=1) @ STORED.T)  # of a step down the gradient
    assert towards[0, 1] > 0 > towards[0, 0]
    assert towards[1, 0] < 0


def test_the_contrast_is_part_of_the_loss(monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURE", 0.5)
    monkeypatch.setattr(module, "WEIGHT", 3.0)
    training = method_config("chain", small("chain")).training
    nothing = Memory(np.zeros((0, 1, 1, 2), np.float16), np.arange(0), np.arange(0), STORED)
    model = Update(Given(MethodConfig(frames=1, training=training), 2, 2), nothing, epochs=1)
    views, own = torch.tensor([[[0.0, -0.3]], [[4.0, 4.0]]]), torch.tensor([1])
    parts = model.losses(torch.tensor(2.0), views, own)
    contrast = contrast_with_stored(views[:, 0], STORED, own, 0.5)
    assert float(parts["stored"]) == pytest.approx(float(contrast))
    assert float(parts["loss"]) == pytest.approx(2 + 3 * float(contrast))


def test_a_batch_has_views_of_old_clips_with_their_own_codes_and_of_new_ones():
    store, model = tiny_store(), trained("chain")
    bank, rows = store.bank("consistent")
    old, new = rows[[3, 7, 9]], rows[[30, 31]]
    wrapped = Update(model, Memory(bank, old, new, torch.ones(3, 32)), epochs=1)
    frames, seen = store.encoded_frames(wrapped.frames), set()
    for seed in range(30):
        random = np.random.default_rng(seed)
        *_, views, own = wrapped.draw(store, np.array([2, 3, 5, 8]), random)
        assert len(views) == 4 and len(own) == 3
        allowed = [*old[own.numpy()][:, None], new]
        for view, clips in zip(views, allowed, strict=True):
            features = torch.from_numpy(bank[clips][:, :, frames]).float()
            (found,) = torch.nonzero((features == view).all(dim=(2, 3)))
            seen.add((int(clips[found[0]]), int(found[1])))
    assert len(seen) == 5 * bank.shape[1]


@pytest.mark.parametrize("method", ["chain", "chain_plus", "conmh"])
def test_old_clips_keep_their_codes_and_new_ones_are_learned(method, monkeypatch):
    model, store = trained(method, epochs=40, lr=0.002), tiny_store()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stored = stored_codes(model)

    def flipped(weight: float) -> float:
        monkeypatch.setattr(module, "WEIGHT", weight)
        changed, rows = fine_tune(model, store, stored, seed=0, device=CPU)
        assert set(range(OLD, TRAINED)) < set(rows.tolist())
        assert len(rows) == 2 * (TRAINED - OLD)
        codes = pack(encode_store(changed, store, CPU))
        assert (codes[OLD:TRAINED] != pack(encode_store(model, store, CPU))[OLD:TRAINED]).any()
        return float(np.unpackbits(codes[:OLD] ^ stored.codes).mean())

    assert flipped(10.0) < flipped(0.0)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def opened(make_hasher: Any, method: str = "chain") -> tuple[Hasher, Codes]:
    hasher = Hasher.load(make_hasher(method), device="cpu")
    return hasher, stored_codes(hasher.model)


def test_an_update_is_a_hasher_of_its_own(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher)
    abouts = [update(hasher, tiny_store(), stored, "new", tmp_path / name) for name in "ab"]
    assert abouts[0] == abouts[1]
    updated = Hasher.load(tmp_path / "a")
    assert updated.id != hasher.id
    assert updated.about.trained_on.updated_from == hasher.id
    assert updated.about.trained_on.clips == len(updated.training_codes) == 24
    again = stored_codes(updated.model)
    assert np.unpackbits(again.codes ^ stored.codes).mean() < 0.25
    third = update(updated, tiny_store(), stored, "newer", tmp_path / "third")
    assert third.trained_on.updated_from == updated.id


def test_the_command(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher)
    store, features = tiny_store(), tmp_path / "features/new"
    features.mkdir(parents=True)
    store.index.to_csv(features / "index.csv", index=False)
    for name, array in {"clean": store.clean, "train": store.train}.items():
        np.save(features / f"{name}.npy", array)
    np.save(features / "bank_consistent.npy", store.banks["consistent"])
    save_codes(tmp_path / "codes", stored.ids.tolist(), {1: stored.codes})
    before = (tmp_path / "codes/seed_1.npy").read_bytes()
    old, codes, out = (str(tmp_path / name) for name in ("hasher", "codes", "updated"))
    said = update_hasher(old, str(features), codes, out)
    updated = Hasher.load(out)
    assert said.startswith(f"update: hasher {updated.id} in {out} goes on from {hasher.id}")
    assert (tmp_path / "codes/seed_1.npy").read_bytes() == before
    assert updated.about.trained_on.dataset == "new"


def fails(message: str, hasher: Hasher, stored: Codes, out: Path) -> None:
    with pytest.raises(InputError) as raised:
        update(hasher, tiny_store(), stored, "new", out)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not out.exists() and not list(out.parent.glob(".*"))


def test_what_is_no_update(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher)
    ids, codes = stored.ids, stored.codes
    out = tmp_path / "out"
    fails("codes: 50% of their bits are not those of hasher", hasher, Codes(ids, half(codes)), out)
    fails("codes: of 16 bits, hasher", hasher, Codes(ids, codes[:, :2]), out)
    others = np.char.add("other ", ids)
    fails("there are features of none of their clips", hasher, Codes(others, codes), out)
    everything = pack(encode_store(hasher.model, tiny_store(), CPU))
    whole = Codes(tiny_store().index["id"].to_numpy(dtype=np.str_), everything)
    fails("nothing to update: every training clip has a stored code", hasher, whole, out)
    rest = take(whole, np.arange(TRAINED, 60))
    fails("nothing to update: no training clip has a stored code", hasher, rest, out)


def half(codes: Any) -> Any:
    """The codes with every other bit flipped."""
    return codes ^ np.uint8(0b01010101)


def test_a_method_that_learns_nothing_by_gradient(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher, "pca_itq")
    fails("PCAITQ learns nothing by gradient: no update", hasher, stored, tmp_path / "out")


def test_a_method_that_keeps_what_it_was_fitted_to(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher, "bth")
    message = "bth can't be updated, only these can: conmh, chain, chain_plus"
    fails(message, hasher, stored, tmp_path / "out")


def test_features_of_another_cnn(make_hasher, tmp_path):
    hasher, stored = opened(make_hasher)
    store = tiny_store()
    narrow = type(store)(store.index, store.clean[..., :64], store.train, {})
    with pytest.raises(InputError, match=r"features: 6 × 64 a clip, hasher \w+ has 6 × 512"):
        update(hasher, narrow, stored, "new", tmp_path / "out")

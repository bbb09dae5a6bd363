"""Updates: what is learned, what is held, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_methods import small
from tiny_hasher import TRAINED, tiny_store

from chain import Hasher
from chain.core.errors import InputError
from chain.hasher import update as module
from chain.hasher.update import Held, Update, fine_tune, update
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


def given(held: Held) -> Update:
    training = method_config("chain", small("chain")).training
    return Update(Given(MethodConfig(frames=1, training=training), 2, 2), held, epochs=1)


def test_the_loss_by_hand(monkeypatch):
    monkeypatch.setattr(module, "MARGIN", 0.5)
    monkeypatch.setattr(module, "WEIGHT", 3.0)
    old = torch.tensor([[[0.2, -0.2]], [[0.9, -0.6]]])
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    nothing = Held(np.zeros((0, 1, 1, 2), np.float16), np.arange(0), torch.zeros(0, 2))
    parts = given(nothing).losses(torch.tensor(2.0), old, signs)
    assert float(parts["agreement"]) == pytest.approx((0.3 + 0.7 + 0 + 0) / 4)
    assert float(parts["loss"]) == pytest.approx(2 + 3 * 0.25)


def test_a_batch_has_views_of_as_many_old_clips_with_their_own_codes():
    store, model = tiny_store(), trained("chain")
    bank, rows = store.bank("consistent")
    signs = torch.arange(3.0)[:, None].expand(3, 32)
    wrapped = Update(model, Held(bank, rows[[3, 7, 9]], signs), epochs=1)
    seen = set()
    for seed in range(20):
        *_, views, drawn = wrapped.draw(store, np.array([2, 3, 5]), np.random.default_rng(seed))
        assert views.shape[0] == drawn.shape[0] == 3
        frames = store.encoded_frames(wrapped.frames)
        for view, code in zip(views, drawn[:, 0].int().tolist(), strict=True):
            stored = torch.from_numpy(bank[[3, 7, 9][code]][:, frames]).float()
            (which,) = torch.nonzero((stored == view).all(dim=(1, 2)))
            seen.add((code, int(which)))
    assert len(seen) == 3 * bank.shape[1]


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

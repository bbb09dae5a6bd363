import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.losses.debiased import debiased_contrastive
from chain.methods.s5vh import S5VH, S5VHConfig
from chain.views.store import FeatureStore

WIDTH, BITS = 12, 16
PARAMETERS = {
    "frames": 8,
    "encoder": {"width": 16, "depth": 1},
    "decoder": {"width": 8, "depth": 1},
    "mask_ratio": 0.6,
    "contrastive_weight": 0.7,
    "temperature": 0.5,
    "tau_plus": 0.1,
    "centres": "learned",
    "clusters": 4,
    "components": 3,
    "centre_weight": 0.3,
    "centre_temperature": 0.5,
    "warmup_epochs": 2,
    "training": training(epochs=6),
}
ROWS = np.array([0, 3, 4, 9])
CPU = torch.device("cpu")


def build(bits: int = BITS, **changes: object) -> S5VH:
    torch.manual_seed(0)
    config = parse(S5VHConfig, merge(PARAMETERS, changes), "methods.s5vh")
    return S5VH(config, WIDTH, bits)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """26 training clips in four groups that lie far apart, one after the other."""
    random = np.random.default_rng(0)
    groups = 8 * random.normal(size=(4, 1, WIDTH))
    clean = random.normal(size=(30, 11, WIDTH))
    clean[2:28] += groups[np.arange(26) % 4]
    return FeatureStore(
        pd.DataFrame({"id": range(30)}), clean.astype(np.float16), np.arange(2, 28), {}
    )


def fitted(store: FeatureStore, **changes: object) -> S5VH:
    model = build(**changes)
    model.fit(store)
    return model


def drawn(model: S5VH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def clean_frames(store: FeatureStore) -> Tensor:
    """(M, T, F) of the training clips."""
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    return torch.from_numpy(store.clean[2:28][:, middles]).float()


@pytest.mark.parametrize("components", [3, 512])
def test_labels_are_clusters_of_the_mean_features(store: FeatureStore, components: int) -> None:
    model = fitted(store, components=components)
    assert model.labels.shape == (26, 4)
    assert model.labels.sum(dim=1).eq(1).all() and model.labels.max(dim=1).values.eq(1).all()
    hard = model.labels.argmax(dim=1)
    assert len(hard[:4].unique()) == 4
    assert torch.equal(hard, hard[:4].repeat(7)[:26])


def test_learned_centres_are_weights_and_fixed_ones_codes(store: FeatureStore) -> None:
    learned, fixed = fitted(store), fitted(store, centres="fixed")
    assert isinstance(learned.centres, nn.Parameter)
    assert 0 < learned.centres.abs().max() <= 1 / math.sqrt(BITS)
    assert not isinstance(fixed.centres, nn.Parameter)
    assert fixed.centres.abs().unique().tolist() == [1] and len(fixed.centres.unique(dim=0)) == 4
    assert torch.equal(fitted(store, centres="fixed").centres, fixed.centres)
    start = fixed.centres.clone()
    for _ in range(2):
        fixed.losses(*drawn(fixed, store))["loss"].backward()
    assert torch.equal(fixed.centres, start)


@torch.no_grad()
def test_labels_are_refined_once_an_epoch_after_the_warm_up(store: FeatureStore) -> None:
    model = fitted(store)
    hard = model.labels.clone()
    for epoch in range(3):  # the network of epoch 2 is the first whose labels are refined
        model.start_epoch(epoch, store)
        assert torch.equal(model.labels, hard)
    model.start_epoch(3, store)
    said = []
    for clip in clean_frames(store):
        states = model.head(model.encoder(model.project(clip)[None] + model.places))[0]
        code = torch.where(model.hash.linear(states) >= 0, 1.0, -1.0).mean(dim=0)  # no norm
        scores = [math.exp(float(code @ centre)) for centre in model.centres]
        said.append([score / sum(scores) for score in scores])
    first = 0.99 * hard + 0.01 * torch.tensor(said)
    torch.testing.assert_close(model.labels, first)
    model.start_epoch(4, store)
    torch.testing.assert_close(model.labels, 0.99 * first + 0.01 * torch.tensor(said))


def slow_states(model: S5VH, clip: Tensor, visible: list[int]) -> Tensor:
    tokens = torch.stack([model.project(clip[t]) + model.places[t] for t in sorted(visible)])
    return model.head(model.encoder(tokens[None]))[0]


def slow_view(
    model: S5VH, clip: Tensor, visible: list[int], hidden: list[int]
) -> tuple[Tensor, float]:
    """Mean code and summed squared error of one clip."""
    codes = torch.where(model.hash(slow_states(model, clip, visible)) >= 0, 1.0, -1.0)
    tokens = [
        model.decoder_project.weight @ code + model.decoder_places[t]
        for code, t in zip(codes, sorted(visible), strict=True)
    ]
    tokens += [model.mask_token + model.decoder_places[t] for t in sorted(hidden)]
    decoded = model.decoder(torch.stack(tokens)[None])[0, len(visible) :]
    error = (model.reconstruct(decoded) - clip[sorted(hidden)]).square().sum()
    return codes.mean(dim=0), float(error)


@torch.no_grad()
@pytest.mark.parametrize("centres", ["learned", "fixed"])
def test_loss_parts_against_a_slow_twin(store: FeatureStore, centres: str) -> None:
    model = fitted(store, centres=centres)
    for epoch in range(5):
        model.start_epoch(epoch, store)
    features, permutation, rows = drawn(model, store)
    assert torch.equal(features, clean_frames(store)[ROWS]) and rows.tolist() == ROWS.tolist()
    parts = model.losses(features, permutation, rows)
    codes: tuple[list[Tensor], list[Tensor]] = ([], [])
    reconstruction = centre = 0.0
    for clip, order, row in zip(features, permutation.tolist(), ROWS, strict=True):
        for view, (visible, hidden) in enumerate(
            [(order[:4], order[4:]), (order[-4:], order[:-4])]
        ):
            code, error = slow_view(model, clip, visible, hidden)
            codes[view].append(code)
            reconstruction += error / (4 * 4 * WIDTH)
            logits = [float(code @ c) / (BITS * 0.5) for c in model.centres]
            total = math.log(sum(math.exp(x) for x in logits))
            chances = model.labels[row].tolist()
            centre += sum(y * (total - x) for y, x in zip(chances, logits, strict=True)) / 8
    first, second = (torch.stack(view) for view in codes)
    contrastive = debiased_contrastive(first, second, 0.5, 0.1).item()
    assert parts["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-4)
    assert parts["contrastive"].item() == pytest.approx(contrastive, rel=1e-4)
    assert parts["centre"].item() == pytest.approx(centre, rel=1e-4)
    loss = reconstruction + 0.7 * contrastive + 0.3 * centre
    assert parts["loss"].item() == pytest.approx(loss, rel=1e-4)


@torch.no_grad()
def test_encode_is_the_mean_code_of_all_frames_in_order(store: FeatureStore) -> None:
    model, features = fitted(store), clean_frames(store)
    codes = model.encode(features)
    assert codes.shape == (26, BITS)
    for clip, code in zip(features, codes, strict=True):
        states = model.hash(slow_states(model, clip, list(range(8))))
        torch.testing.assert_close(code, torch.where(states >= 0, 1.0, -1.0).mean(dim=0))
    assert not torch.equal(model.encode(features.flip(1)), codes)


@pytest.mark.parametrize("centres", ["learned", "fixed"])
def test_a_few_steps_train_every_parameter(store: FeatureStore, centres: str) -> None:
    model = fitted(store, centres=centres, mask_ratio=0.5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.003)
    batch, losses = drawn(model, store), []
    for _ in range(20):
        parts = model.losses(*batch)
        optimiser.zero_grad()
        parts["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
        losses.append({name: value.item() for name, value in parts.items()})
    for name in losses[0]:
        assert losses[-1][name] < losses[0][name], name
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


def test_xavier_reaches_the_linears_inside_mamba() -> None:
    """The step's bias is 0, and so steps start near softplus(0); the hash layer is PyTorch's."""
    model = build(encoder={"width": 64})
    mamba = model.encoder.blocks[0].mamba
    assert not mamba.step.bias.any() and not model.project.bias.any()
    bound = math.sqrt(6 / (64 + 256))
    assert 0.9 * bound < mamba.expand.weight.abs().max() <= bound
    assert model.hash.linear.bias.abs().min() > 0
    assert model.decoder_project.weight.abs().max() <= 1 / math.sqrt(BITS)


def test_bad_training_sets(store: FeatureStore) -> None:
    fitted(store, clusters=25)
    with pytest.raises(InputError, match=r"methods.s5vh.clusters is 26, but there are only 26"):
        fitted(store, clusters=26)
    build(bits=24).fit(store)
    with pytest.raises(InputError, match=r"^bits is 24, but s5vh has fixed centres for powers of"):
        build(bits=24, centres="fixed").fit(store)


def test_broken_weights_give_no_labels(store: FeatureStore) -> None:
    model = fitted(store)
    with torch.no_grad():
        model.head.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"s5vh: the codes are no longer numbers; lower training"):
        model.start_epoch(3, store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_ratio": 0.1}, "methods.s5vh: mask_ratio 0.1 of 8 frames masks none$"),
        ({"mask_ratio": 1.0}, "methods.s5vh.mask_ratio: .*less than 1"),
        ({"centres": "free"}, "methods.s5vh.centres: .*'fixed' or 'learned'"),
        ({"clusters": 1}, "methods.s5vh.clusters: .*greater than or equal to 2"),
        ({"warmup_epochs": 6}, "s5vh: warmup_epochs 6 leaves none of the 6 training.epochs to"),
        ({"encoder": {"heads": 3}}, "methods.s5vh.encoder.heads: unknown parameter"),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

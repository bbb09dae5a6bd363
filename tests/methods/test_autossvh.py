import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.losses.debiased import debiased_contrastive
from chain.methods.autossvh import AutoSSVH, AutoSSVHConfig, Clustering, reverse_gradient
from chain.methods.conmh import ConMH, ConMHConfig
from chain.models.hash_layer import sign
from chain.views.store import FeatureStore
from chain.views.two_views import take

WIDTH, BITS = 12, 16
CONMH = {
    "frames": 8,
    "encoder": {"width": 16, "depth": 1, "heads": 2},
    "decoder": {"width": 8, "depth": 1, "heads": 2},
    "mask_ratio": 0.6,
    "contrastive_weight": 0.7,
    "temperature": 0.5,
    "tau_plus": 0.1,
    "training": training(epochs=6),
}
OWN = {
    "sampler": "random",
    "dropout": 0.0,
    "prototypes": [3, 6],
    "prototype_weight": 0.3,
    "warmup_epochs": 2,
}
ROWS = np.array([0, 3, 4, 9])


def build(**changes: object) -> AutoSSVH:
    torch.manual_seed(0)
    config = parse(AutoSSVHConfig, merge(CONMH, OWN, changes), "methods.autossvh")
    return AutoSSVH(config, WIDTH, BITS)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    random = np.random.default_rng(0)
    clean = random.normal(size=(30, 11, WIDTH)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(30)}), clean, np.arange(2, 28), {})


def started(store: FeatureStore, epoch: int, **changes: object) -> AutoSSVH:
    model = build(**changes)
    for past in range(epoch + 1):
        torch.manual_seed(past)
        model.start_epoch(past, store)
    return model


def drawn(model: AutoSSVH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def clean_frames(store: FeatureStore) -> Tensor:
    """(M, T, F) of the training clips."""
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    return torch.from_numpy(store.clean[2:28][:, middles]).float()


@torch.no_grad()
def test_without_prototypes_it_is_conmh_with_learned_positions(store: FeatureStore) -> None:
    model = started(store, 1)
    conmh = ConMH(parse(ConMHConfig, CONMH, "methods.conmh"), WIDTH, BITS)
    assert not model.decoder_places.any()
    state = {name.replace("project.1.", "project."): v for name, v in model.state_dict().items()}
    conmh.load_state_dict({n: v for n, v in state.items() if n != "decoder_places"})
    model.decoder_places.copy_(conmh.decoder_places)
    batch = drawn(model, store)
    expected = conmh.losses(*batch)
    assert len(batch) == 2 and expected.keys() == model.losses(*batch).keys()
    for name, value in model.losses(*batch).items():
        torch.testing.assert_close(value, expected[name])
    assert torch.equal(model.encode(batch[0]), conmh.encode(batch[0]))


@torch.no_grad()
def test_prototypes_against_a_slow_twin(store: FeatureStore) -> None:
    model = started(store, 2)
    features, permutation, *chosen = drawn(model, store)
    assert [clusters.shape[0] for clusters in chosen] == [2, 2]
    parts = model.losses(features, permutation, *chosen)
    code1, code2, reconstruction = model._views(features, permutation)
    units = F.normalize(model.encode(clean_frames(store)), dim=1)
    total = 0.0
    for clustering, clusters in zip(model.clusterings, chosen, strict=True):
        for codes, ids in zip((code1, code2), clusters, strict=True):
            own = clustering.labels[ROWS]
            assert torch.equal(ids[:4], own)
            assert len(set(ids[4:].tolist()) | set(own.tolist())) == len(set(own.tolist())) + len(
                ids[4:]
            )
            for row, code in enumerate(codes):
                logits = []
                for cluster in ids.tolist():
                    members = units[clustering.labels == cluster]
                    centroid = F.normalize(members.mean(dim=0), dim=0)
                    cosine = code @ centroid / code.norm().clamp(min=1e-12)
                    logits.append(cosine / clustering.concentrations[cluster])
                total -= float(torch.stack(logits).log_softmax(dim=0)[row]) / 16
    assert parts["prototype"].item() == pytest.approx(total, rel=1e-4)
    contrastive = debiased_contrastive(code1, code2, 0.5, 0.1)
    loss = reconstruction + 0.7 * contrastive + 0.3 * total
    assert parts["loss"].item() == pytest.approx(loss.item(), rel=1e-4)


def test_clusters_are_new_in_each_epoch_and_start_after_the_warm_up(store: FeatureStore) -> None:
    model = started(store, 1)
    assert not model.clusterings
    model.start_epoch(2, store)
    first = model.clusterings
    assert [len(clustering.centroids) for clustering in first] == [3, 6]
    assert started(store, 0, warmup_epochs=0).clusterings
    with torch.no_grad():
        model.hash.linear.weight.copy_(torch.randn(BITS, 16))
    model.start_epoch(3, store)
    assert not torch.equal(first[0].centroids, model.clusterings[0].centroids)


def test_clusters_of_equal_codes_stay_finite() -> None:
    codes = F.normalize(torch.eye(16)[torch.arange(32) % 2], dim=1)
    clustering = Clustering(codes, 2)
    assert clustering.concentrations.tolist() == pytest.approx([0.01, 0.01])
    chosen = torch.from_numpy(clustering.draw(np.arange(4), np.random.default_rng(0)))
    assert clustering.contrast(codes[:4], chosen).isfinite()


def test_no_negative_is_left(store: FeatureStore) -> None:
    """With two clusters that both have clips of the batch, they are each other's negatives only."""
    model = started(store, 2, prototypes=[2])
    labels = model.clusterings[0].labels
    rows = np.array([int(labels.argmin()), int(labels.argmax())])
    chosen = model.draw(store, rows, np.random.default_rng(0))[2]
    assert chosen.shape == (2, 2) and chosen[0].tolist() == [0, 1]


@torch.no_grad()
def test_learned_sampler_sees_the_frames_of_the_largest_noise(store: FeatureStore) -> None:
    """Scores lie in (0, 1), so noise that is far larger decides."""
    model = started(store, 1, sampler="learned")
    features, noise = drawn(model, store)
    assert noise.shape == (4, 2, 8) and noise.std() > 5
    sums = 100 * torch.rand(4, 8).argsort(dim=1).float()
    code, error = model._sampled_view(features, sums)
    order = sums.argsort(dim=1, descending=True)
    visible, hidden = (part.sort(dim=1).values for part in order.split(4, dim=1))
    codes = model._frame_codes(take(features, visible), model.places[visible])
    torch.testing.assert_close(code, codes.mean(dim=1))
    masked = model.mask_token.expand(4, 4, -1)
    slots = torch.cat([model.decoder_project(codes), masked], dim=1) + model.decoder_places
    target = torch.stack(
        [
            clip[[*v, *h]]
            for clip, v, h in zip(features, visible.tolist(), hidden.tolist(), strict=True)
        ]
    )
    torch.testing.assert_close(error, F.mse_loss(model.reconstruct(model.decoder(slots)), target))


def test_sampler_climbs_where_the_rest_descends(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gradient is the opposite of what lowers the loss, and all others are as they were."""
    model = build(sampler="learned")
    features, noise = drawn(model, store)
    tokens = (model.project(features) + model.places).detach()
    scores = model.scorer(tokens)
    assert scores.shape == (4, 8) and scores.min() > 0 and scores.max() < 1
    model.losses(features, noise)["loss"].backward()
    gradients = {name: p.grad for name, p in model.scorer.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values())
    assert any(g.abs().sum() > 0 for g in gradients.values())
    straight = build(sampler="learned")
    monkeypatch.setattr("chain.methods.autossvh.reverse_gradient", lambda x: x)
    straight.losses(features, noise)["loss"].backward()
    for name, parameter in straight.named_parameters():
        own = model.get_parameter(name).grad
        turned = -parameter.grad if name.startswith("scorer.") else parameter.grad
        if not name.startswith("project."):  # it is reached through the scores too
            torch.testing.assert_close(own, turned)


def test_reversed_gradient() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = reverse_gradient(x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert y.tolist() == [1, 2] and x.grad is not None and x.grad.tolist() == [-3, -4]


@pytest.mark.parametrize("sampler", ["random", "learned"])
def test_a_few_steps_train_every_parameter(store: FeatureStore, sampler: str) -> None:
    model = started(store, 2, sampler=sampler)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    batch, losses = drawn(model, store), []
    for _ in range(20):
        parts = model.losses(*batch)
        optimiser.zero_grad()
        parts["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
        losses.append(parts["loss"].item())
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


def test_dropout_is_on_what_is_seen_only(store: FeatureStore) -> None:
    features, permutation = drawn(build(), store)
    model = build(dropout=1 - 2**-16)  # the largest there is
    with torch.no_grad():
        seen = model.project(features)
        torch.testing.assert_close(seen, model.project[1].bias.expand_as(seen), atol=1e-5, rtol=0)
        model.decoder_places.zero_()
        model.reconstruct.weight.zero_()
    error = model.losses(features, permutation)["reconstruction"]
    hidden = torch.stack([permutation[:, 4:], permutation[:, :4]])
    expected = sum(
        clip[order].square().mean() / 4
        for view in hidden
        for clip, order in zip(features, view, strict=True)
    )
    torch.testing.assert_close(error, torch.as_tensor(expected))
    model.eval()
    with torch.no_grad():
        frames = model.project[1](features) + model.places
        codes = sign(model.hash(model.head(model.encoder(frames)))).mean(dim=1)
        assert torch.equal(model.encode(features), codes)


def test_bad_training_sets(store: FeatureStore) -> None:
    build(prototypes=[3, 25]).fit(store)
    with pytest.raises(InputError, match=r"methods.autossvh.prototypes is 26, but there are only"):
        build(prototypes=[26, 3]).fit(store)


def test_broken_weights_are_not_clustered(store: FeatureStore) -> None:
    model = build()
    with torch.no_grad():
        model.head.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"autossvh: the codes are no longer numbers; lower train"):
        model.start_epoch(2, store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prototypes": []}, "methods.autossvh.prototypes: .*at least 1 item"),
        ({"prototypes": 64}, "methods.autossvh.prototypes: .*valid list"),
        ({"prototypes": [1]}, "methods.autossvh.prototypes.0: .*greater than or equal to 2"),
        ({"sampler": "best"}, "methods.autossvh.sampler: .*'random' or 'learned'"),
        ({"dropout": 1.0}, "methods.autossvh.dropout: .*less than 1"),
        ({"warmup_epochs": 6}, "autossvh: warmup_epochs 6 leaves none of the 6 training.epochs"),
        ({"mask_ratio": 0.1}, "methods.autossvh: mask_ratio 0.1 of 8 frames masks none$"),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

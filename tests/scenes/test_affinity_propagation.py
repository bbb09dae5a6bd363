import warnings

import numpy as np
import pytest
import torch
from sklearn.cluster import AffinityPropagation
from sklearn.exceptions import ConvergenceWarning

from chain.scenes.affinity_propagation import (
    affinity_propagation,
    exemplar_of_frames,
    frame_similarity,
    median_preference,
)


class SameNoise(np.random.RandomState):
    """Gives scikit-learn the tie-breaking noise that we use, so that results must be equal."""

    def standard_normal(self, size):
        generator = torch.Generator().manual_seed(0)
        return torch.randn(size, generator=generator, dtype=torch.float64).numpy()


def sklearn_scenes(similarity, preference, random_state=None, **options):
    """Labels, exemplar of each frame and updates of one video (T, T)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="All samples have mutually equal")
        model = AffinityPropagation(
            affinity="precomputed",
            preference=preference,
            random_state=random_state or SameNoise(),
            **options,
        ).fit(similarity.numpy())
    none = np.full(len(similarity), -1)
    centres = np.asarray(model.cluster_centers_indices_, dtype=np.int64)
    return model.labels_, centres[model.labels_] if len(centres) else none, model.n_iter_


def problems(kind, batch, frames, seed=0):
    """Similarities (B, T, T) of random videos."""
    rng = np.random.default_rng([seed, frames])
    if kind == "asymmetric":
        return torch.from_numpy(-rng.random((batch, frames, frames)))
    x = rng.normal(size=(batch, frames, 8))
    if kind == "clustered":
        x = rng.normal(size=(batch, 3, 8))[:, rng.integers(0, 3, frames)] + 0.2 * x
    elif kind == "drifting":
        x = np.abs(x.cumsum(axis=1))
    return frame_similarity(torch.from_numpy(x))


def partition(labels):
    return labels[:, None] == labels


@pytest.mark.parametrize("kind", ["clustered", "drifting", "random", "asymmetric"])
@pytest.mark.parametrize("damping", [0.5, 0.9])
@pytest.mark.parametrize("scale", [None, 0.5, 2.0])
def test_equals_scikit_learn(kind, damping, scale):
    for frames in (1, 2, 3, 4, 5, 7, 8, 13, 16, 32):
        similarity = problems(kind, 3, frames)
        preference = None if scale is None else median_preference(similarity, scale)
        labels = affinity_propagation(similarity, preference, damping)
        exemplars = exemplar_of_frames(similarity, preference, damping)
        for b in range(3):
            wish = None if preference is None else float(preference[b])
            expected, centres, _ = sklearn_scenes(similarity[b], wish, damping=damping)
            assert np.array_equal(labels[b].numpy(), expected)
            assert np.array_equal(exemplars[b].numpy(), centres)


def test_other_noise_gives_the_same_scenes_of_clear_data():
    # Three frames a scene at least: of two, either may be the exemplar, and noise decides all.
    rng = np.random.default_rng(0)
    for frames in (9, 16, 32):
        centres = np.eye(8)[rng.permuted(np.tile(np.arange(frames) % 3, (20, 1)), axis=1)]
        x = centres + 0.05 * rng.normal(size=(20, frames, 8))
        similarity = frame_similarity(torch.from_numpy(x))
        labels = affinity_propagation(similarity, -0.5).numpy()
        for b in range(20):
            expected, _, _ = sklearn_scenes(similarity[b], -0.5, random_state=b + 1)
            assert np.array_equal(partition(labels[b]), partition(expected))


@pytest.mark.parametrize(("limit", "window"), [(3, 15), (8, 15), (19, 15), (200, 2), (200, 40)])
def test_stops_as_scikit_learn_does(limit, window):
    similarity = torch.cat([problems(kind, 8, 12) for kind in ("clustered", "random")])
    labels = affinity_propagation(similarity, None, 0.6, limit, window)
    updates = []
    for b in range(16):
        expected, _, count = sklearn_scenes(
            similarity[b], None, damping=0.6, max_iter=limit, convergence_iter=window
        )
        updates.append(count)
        assert np.array_equal(labels[b].numpy(), expected)
    if limit == 200:
        assert len(set(updates)) > 3  # the videos stop at different updates, most early


def test_without_exemplars_no_frame_has_a_scene():
    similarity = problems("random", 4, 12)
    labels = affinity_propagation(similarity, max_iterations=1)
    assert (labels == -1).all()
    for b in range(4):
        assert np.array_equal(sklearn_scenes(similarity[b], None, max_iter=1)[0], labels[b].numpy())


def test_a_video_does_not_depend_on_its_batch():
    similarity = torch.cat([problems(kind, 6, 10) for kind in ("clustered", "random", "drifting")])
    similarity[4] = -1.0
    preference = median_preference(similarity, 1.3)
    labels = affinity_propagation(similarity, preference)
    for b in range(len(similarity)):
        alone = affinity_propagation(similarity[b : b + 1], preference[b : b + 1])
        assert torch.equal(alone[0], labels[b])
    order = torch.randperm(len(similarity), generator=torch.Generator().manual_seed(0))
    assert torch.equal(affinity_propagation(similarity[order], preference[order]), labels[order])


def test_two_scenes():
    angles = torch.tensor([[0.0, 0.02, 0.05, 1.5, 1.53, 1.57, 0.01, 1.51]])
    frames = torch.stack([angles.cos(), angles.sin()], dim=2)
    labels = affinity_propagation(frame_similarity(frames))
    assert labels.tolist() == [[0, 0, 0, 1, 1, 1, 0, 1]]


@pytest.mark.parametrize(("preference", "labels"), [(-2.0, [0, 0, 0]), (-0.5, [0, 1, 2])])
def test_equal_similarities(preference, labels):
    similarity = -torch.ones(2, 3, 3)
    similarity.diagonal(dim1=1, dim2=2).zero_()
    assert affinity_propagation(similarity, preference).tolist() == [labels, labels]
    assert sklearn_scenes(similarity[0], preference)[0].tolist() == labels


def test_equal_frames_are_one_scene():
    frames = torch.randn(2, 1, 512, generator=torch.Generator().manual_seed(0)).expand(-1, 9, -1)
    similarity = frame_similarity(frames)
    assert not similarity.any()
    assert not affinity_propagation(similarity).any()


def test_more_preference_more_scenes():
    similarity = problems("random", 8, 16)
    counts = [
        int(
            (affinity_propagation(similarity, median_preference(similarity, scale)) + 1)
            .amax(1)
            .sum()
        )
        for scale in (0.25, 1.0, 4.0)
    ]
    assert counts[0] > counts[1] > counts[2]


def test_frame_similarity_equals_slow_twin():
    frames = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    similarity = frame_similarity(frames)
    assert similarity.dtype == torch.float64
    for b in range(2):
        for i in range(5):
            for j in range(5):
                u, v = (frames[b, k].double() / frames[b, k].double().norm() for k in (i, j))
                assert float(similarity[b, i, j]) == pytest.approx(
                    -float(((u - v) ** 2).sum()), abs=1e-11
                )


@pytest.mark.parametrize("frames", [2, 3, 4, 5])
def test_median_preference_is_scikit_learns_default(frames):
    similarity = problems("asymmetric", 3, frames)
    expected = [np.median(video) for video in similarity.numpy()]
    assert median_preference(similarity).tolist() == expected
    assert median_preference(similarity, 2.0).tolist() == [2 * x for x in expected]


def test_repeats_and_leaves_its_input_and_the_global_generator_alone():
    similarity = problems("random", 3, 8)
    before = similarity.clone()
    torch.manual_seed(1)
    first = affinity_propagation(similarity)
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(affinity_propagation(similarity), first)
    assert torch.equal(similarity, before)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="similarity"):
        affinity_propagation(torch.zeros(shape))


@pytest.mark.parametrize("damping", [0.49, 1.0])
def test_bad_damping(damping):
    with pytest.raises(ValueError, match="damping"):
        affinity_propagation(torch.zeros(1, 3, 3), damping=damping)


def test_not_finite():
    with pytest.raises(ValueError, match="finite"):
        affinity_propagation(torch.full((1, 3, 3), torch.nan))

import math

import pytest
import torch

from chain.losses.scene import scene_contrast

SCENES = torch.tensor(
    [
        [0, 0, 1, 1, 2, 2],
        [3, 1, 3, 1, 0, 3],  # gaps, and a singleton
        [0, 0, 0, 0, 0, 0],  # one scene: nothing to contrast
        [0, 1, 2, 3, 4, 5],  # singletons only
        [-1, 0, 0, -1, 1, 1],
        [-1, -1, -1, -1, -1, -1],
    ]
)


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*SCENES.shape, 4, dtype=torch.float64, generator=generator)


def unit(vector):
    return vector / vector.norm()


def slow_prototype(frames, members):
    return unit(sum(unit(frames[t]) for t in members) / len(members))


def slow_scene_contrast(frames, scenes, temperature):
    """The loss, differentiable, prototypes being constants."""
    terms = []
    for video, labels in zip(frames, scenes.tolist(), strict=True):
        members = {s: [t for t, label in enumerate(labels) if label == s] for s in labels if s >= 0}
        for t, label in enumerate(labels):
            if label < 0 or len(members) < 2 or len(members[label]) < 2:
                continue
            scores = {}
            for s, inside in members.items():
                others = [i for i in inside if i != t]
                prototype = slow_prototype(video.detach(), others)
                scores[s] = (unit(video[t]) @ prototype / temperature).exp()
            terms.append(-(scores[label] / sum(scores.values())).log())
    return sum(terms) / len(terms)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_equals_slow_twin_and_its_gradient(temperature):
    fast, slow = example().requires_grad_(), example().requires_grad_()
    loss = scene_contrast(fast, SCENES, temperature)
    expected = slow_scene_contrast(slow, SCENES, temperature)
    assert torch.allclose(loss, expected, rtol=1e-10)
    loss.backward()
    expected.backward()
    assert torch.allclose(fast.grad, slow.grad, rtol=1e-9)
    assert not fast.grad[[2, 3, 5]].any() and not fast.grad[1, 4].any()


def test_by_hand():
    frames = torch.tensor([[[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]]])
    # Two anchors at cosine 1 of the other one, and 0 of the singleton, which is no anchor.
    loss = scene_contrast(frames, torch.tensor([[1, 1, 0]]), 0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))


@pytest.mark.parametrize("videos", [[2], [3], [5], [2, 3, 5]])
def test_nothing_to_contrast_is_zero(videos):
    frames = example()[videos].requires_grad_()
    loss = scene_contrast(frames, SCENES[videos], 0.2)
    loss.backward()
    assert loss.item() == 0 and not frames.grad.any()


def test_invariances():
    frames, order = example(), torch.tensor([3, 1, 5, 0, 4, 2])
    loss = scene_contrast(frames, SCENES, 0.3)
    assert torch.allclose(scene_contrast(frames[order], SCENES[order], 0.3), loss)
    assert torch.allclose(scene_contrast(frames[:, order], SCENES[:, order], 0.3), loss)
    renamed = torch.where(SCENES >= 0, 9 - SCENES, -1)  # more names than frames
    assert torch.allclose(scene_contrast(frames, renamed, 0.3), loss)
    assert torch.allclose(scene_contrast(3 * frames, SCENES, 0.3), loss)
    # The other videos are no negatives.
    assert torch.allclose(scene_contrast(frames[:4], SCENES[:4], 0.3) * 11, loss_sum(frames, 4))


def loss_sum(frames, videos):
    """Sum over the anchors of the first videos, each video on its own: 6 + 5 + 0 + 0 anchors."""
    anchors = [6, 5, 0, 0, 4, 0]
    return sum(
        scene_contrast(frames[b : b + 1], SCENES[b : b + 1], 0.3) * anchors[b]
        for b in range(videos)
    )


def test_goes_down():
    frames = example().requires_grad_()
    optimiser = torch.optim.SGD([frames], lr=1.0)
    losses = []
    for _ in range(20):
        loss = scene_contrast(frames, SCENES, 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("temperature", [0, -0.1, math.nan])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="temperature"):
        scene_contrast(example(), SCENES, temperature)


@pytest.mark.parametrize(("frames", "scenes"), [((2, 3, 4), (2, 4)), ((2, 3), (2, 3))])
def test_bad_shapes(frames, scenes):
    with pytest.raises(ValueError, match="frames"):
        scene_contrast(torch.ones(frames), torch.zeros(scenes, dtype=torch.int64), 0.5)

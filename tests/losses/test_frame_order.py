import math

import pytest
import torch

from chain.losses.frame_order import frame_order


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 4, 6, dtype=torch.float64, generator=generator)
    return logits, torch.randint(6, (3, 4), generator=generator)


def slow_frame_order(logits, positions):
    total = 0.0
    for video, answers in zip(logits.tolist(), positions.tolist(), strict=True):
        for scores, answer in zip(video, answers, strict=True):
            total -= scores[answer] - math.log(sum(math.exp(score) for score in scores))
    return total / positions.numel()


def test_equals_slow_twin():
    logits, positions = example()
    assert float(frame_order(logits, positions)) == pytest.approx(
        slow_frame_order(logits, positions), rel=1e-12
    )


def test_by_hand():
    positions = torch.tensor([[1, 0]])
    assert float(frame_order(torch.zeros(1, 2, 5), positions)) == pytest.approx(math.log(5))
    logits = torch.tensor([[[0, math.log(3)], [0, 0]]])  # answers at 3/4 and 1/2
    assert float(frame_order(logits, positions)) == pytest.approx(math.log(8 / 3) / 2)


def test_invariant_to_the_order_of_videos_and_of_frames():
    logits, positions = example()
    loss = frame_order(logits, positions)
    assert torch.allclose(frame_order(logits.flip(0, 1), positions.flip(0, 1)), loss)
    assert not torch.allclose(frame_order(logits.flip(1), positions), loss)


def test_gradient():
    logits, positions = example()
    assert torch.autograd.gradcheck(lambda x: frame_order(x, positions), logits.requires_grad_())


def test_goes_down():
    logits, positions = example()
    logits.requires_grad_()
    optimiser = torch.optim.SGD([logits], lr=1.0)
    losses = []
    for _ in range(20):
        loss = frame_order(logits, positions)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(("logits", "positions"), [((2, 3, 3), (2, 4)), ((6, 3), (6,))])
def test_bad_shapes(logits, positions):
    with pytest.raises(ValueError, match="logits"):
        frame_order(torch.zeros(logits), torch.zeros(positions, dtype=torch.int64))

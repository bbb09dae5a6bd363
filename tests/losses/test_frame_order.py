import math

import pytest
import torch

from chain.losses.frame_order import frame_order

ORDER = torch.tensor([[1, 0, 2, 3], [3, 1, 0, 2], [0, 1, 2, 3]])  # 2, 3 and 0 frames are moved


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 4, 4, dtype=torch.float64, generator=generator), ORDER


def slow_frame_order(logits, order):
    total, moved = 0.0, 0
    for video, frames in zip(logits.tolist(), order.tolist(), strict=True):
        for place, (scores, frame) in enumerate(zip(video, frames, strict=True)):
            if frame != place:
                total -= scores[frame] - math.log(sum(math.exp(score) for score in scores))
                moved += 1
    return total / moved


def test_equals_slow_twin():
    logits, order = example()
    assert float(frame_order(logits, order)) == pytest.approx(
        slow_frame_order(logits, order), rel=1e-12
    )


def test_by_hand():
    order = torch.tensor([[1, 0, 2]])
    assert float(frame_order(torch.zeros(1, 3, 3), order)) == pytest.approx(math.log(3))
    logits = torch.zeros(1, 3, 3)
    logits[0, 0, 1] = math.log(4)  # the answer has 4/6 at the first place, 1/3 at the second
    assert float(frame_order(logits, order)) == pytest.approx(math.log(1.5 * 3) / 2)


def test_frames_that_stayed_teach_nothing():
    logits, order = example()
    logits.requires_grad_()
    frame_order(logits, order).backward()
    stayed = order == torch.arange(4)
    assert not logits.grad[stayed].any()
    assert logits.grad[~stayed].all()
    changed = logits.detach().clone()
    changed[stayed] += torch.arange(4) ** 2
    assert torch.allclose(frame_order(changed, order), frame_order(logits, order))


def test_the_loss_is_0_if_no_frame_moved():
    logits = torch.randn(2, 4, 4, requires_grad=True)
    loss = frame_order(logits, torch.arange(4).expand(2, -1))
    assert float(loss.detach()) == 0
    loss.backward()
    assert not logits.grad.any()


def test_invariant_to_the_order_of_videos_but_not_of_frames():
    logits, order = example()
    loss = frame_order(logits, order)
    assert torch.allclose(frame_order(logits.flip(0), order.flip(0)), loss)
    assert not torch.allclose(frame_order(logits.flip(1), order), loss)


def test_gradient():
    logits, order = example()
    assert torch.autograd.gradcheck(lambda x: frame_order(x, order), logits.requires_grad_())


def test_goes_down():
    logits, order = example()
    logits.requires_grad_()
    optimiser = torch.optim.SGD([logits], lr=1.0)
    losses = []
    for _ in range(20):
        loss = frame_order(logits, order)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(
    ("logits", "order"), [((2, 3, 3), (2, 4)), ((6, 3), (6,)), ((2, 3, 4), (2, 3))]
)
def test_bad_shapes(logits, order):
    with pytest.raises(ValueError, match=r"logits must be \(B, T, T\)"):
        frame_order(torch.zeros(logits), torch.zeros(order, dtype=torch.int64))

import pytest
import torch

from chain.losses import masked_reconstruction


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    predicted, target = torch.randn(2, 3, 5, 4, dtype=torch.float64, generator=generator)
    return predicted, target, torch.rand(3, 5, generator=generator) < 0.5


def slow_masked_reconstruction(predicted, target, masked):
    errors = []
    for b, t in masked.nonzero().tolist():
        errors += [(p - q) ** 2 for p, q in zip(predicted[b, t], target[b, t], strict=True)]
    return float(sum(errors)) / len(errors)


def test_equals_slow_twin():
    predicted, target, masked = example()
    assert 0 < masked.sum() < masked.numel()
    assert float(masked_reconstruction(predicted, target, masked)) == pytest.approx(
        slow_masked_reconstruction(predicted, target, masked), rel=1e-12
    )


def test_by_hand():
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
    target = torch.tensor([[[0.0, 0.0], [3.0, 1.0], [0.0, 0.0]]])
    masked = torch.tensor([[True, True, False]])
    assert float(masked_reconstruction(predicted, target, masked)) == (1 + 4 + 0 + 9) / 4


def test_visible_frames_do_not_count():
    predicted, target, masked = example()
    loss = masked_reconstruction(predicted, target, masked)
    changed = predicted + 5.0 * ~masked[:, :, None]
    assert torch.equal(masked_reconstruction(changed, target, masked), loss)
    order = torch.tensor([2, 0, 1])
    permuted = masked_reconstruction(predicted[order], target[order], masked[order])
    assert torch.allclose(permuted, loss)


def test_nothing_masked_is_zero():
    predicted, target, _ = example()
    predicted.requires_grad_()
    loss = masked_reconstruction(predicted, target, torch.zeros(3, 5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and not predicted.grad.any()


def test_gradient():
    predicted, target, masked = example()
    inputs = predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked_reconstruction(x, target, masked), inputs)


def test_goes_down():
    predicted, target, masked = example()
    predicted.requires_grad_()
    optimiser = torch.optim.SGD([predicted], lr=1.0)
    losses = []
    for _ in range(20):
        loss = masked_reconstruction(predicted, target, masked)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(
    "shapes",
    [((2, 3, 4), (2, 3, 5), (2, 3)), ((2, 3, 4), (2, 3, 4), (2, 4)), ((2, 3), (2, 3), (2, 3))],
)
def test_bad_shapes(shapes):
    predicted, target, masked = (torch.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="masked"):
        masked_reconstruction(predicted, target, masked.bool())

import math

import pytest
import torch

from chain.losses.debiased import debiased_contrastive
from chain.losses.nt_xent import nt_xent


def views(batch, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, width, dtype=torch.float64, generator=generator)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def slow_debiased(z1, z2, temperature, tau_plus):
    """The loss, and how many anchors met the floor under the negatives."""
    z = [*z1, *z2]
    batch, total, floored = len(z1), 0.0, 0
    n = 2 * batch - 2
    for i in range(2 * batch):
        twin = (i + batch) % (2 * batch)
        pos = math.exp(cosine(z[i], z[twin]) / temperature)
        negatives = 0.0
        for j in range(2 * batch):
            if j not in (i, twin):
                negatives += math.exp(cosine(z[i], z[j]) / temperature)
        corrected = (negatives - tau_plus * n * pos) / (1 - tau_plus)
        floor = n * math.exp(-1 / temperature)
        floored += corrected < floor
        total -= math.log(pos / (pos + max(corrected, floor)))
    return total / (2 * batch), floored


@pytest.mark.parametrize("tau_plus", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("batch", "width"), [(2, 3), (5, 2), (9, 16)])
def test_equals_slow_twin(batch, width, temperature, tau_plus):
    z1, z2 = views(batch, width)
    expected, _ = slow_debiased(z1, z2, temperature, tau_plus)
    loss = debiased_contrastive(z1, z2, temperature, tau_plus)
    assert float(loss) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_equals_slow_twin_where_the_floor_binds(spread):
    z1, noise = views(6, 3)
    z2 = z1 + spread * noise
    expected, floored = slow_debiased(z1, z2, 0.2, 0.3)
    assert 0 < floored <= 12
    assert float(debiased_contrastive(z1, z2, 0.2, 0.3)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_without_prior_is_nt_xent(temperature):
    z1, z2 = views(8, 6)
    loss = debiased_contrastive(z1, z2, temperature, 0)
    assert torch.allclose(loss, nt_xent(z1, z2, temperature), rtol=1e-12)


def test_by_hand():
    z = torch.eye(2, dtype=torch.float64)
    # pos = e², two negatives of 1 each: (2 - 0.1 · 2 · e²) / 0.9 is under the floor of 2 / e² ...
    pos, floor = math.exp(2), 2 * math.exp(-2)
    negatives = (2 - 0.2 * pos) / 0.9
    assert negatives > floor
    expected = -math.log(pos / (pos + negatives))
    assert float(debiased_contrastive(z, z, 0.5, 0.1)) == pytest.approx(expected)
    # ... and with a prior of 0.3 it is: 2 - 0.3 · 2 · e² is negative.
    expected = -math.log(pos / (pos + floor))
    assert float(debiased_contrastive(z, z, 0.5, 0.3)) == pytest.approx(expected)


def test_invariances():
    z1, z2 = views(7, 5)
    loss = debiased_contrastive(z1, z2, 0.3, 0.1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(debiased_contrastive(z1[order], z2[order], 0.3, 0.1), loss)
    assert torch.allclose(debiased_contrastive(z2, z1, 0.3, 0.1), loss)
    assert not torch.allclose(debiased_contrastive(z1[order], z2, 0.3, 0.1), loss)


def test_gradient():
    z1, z2 = views(4, 3)
    inputs = z1.requires_grad_(), z2.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: debiased_contrastive(a, b, 0.5, 0.1), inputs)


def test_finite_at_low_temperature():
    z1, z2 = (z.float().requires_grad_() for z in views(6, 4))
    loss = debiased_contrastive(z1, z2, 0.005, 0.1)
    loss.backward()
    assert loss.isfinite() and z1.grad.isfinite().all()


def test_goes_down():
    z = views(8, 4).requires_grad_()
    optimiser = torch.optim.SGD([z], lr=1.0)
    losses = []
    for _ in range(20):
        loss = debiased_contrastive(z[0], z[1], 0.5, 0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("temperature", [0, -0.1, math.nan])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="temperature"):
        debiased_contrastive(*views(3, 2), temperature, 0.1)


@pytest.mark.parametrize("tau_plus", [-0.1, 1, math.nan])
def test_bad_prior(tau_plus):
    with pytest.raises(ValueError, match="tau_plus"):
        debiased_contrastive(*views(3, 2), 0.5, tau_plus)


def test_bad_shapes():
    with pytest.raises(ValueError, match="views"):
        debiased_contrastive(torch.ones(3, 2), torch.ones(4, 2), 0.5, 0.1)

import math

import pytest
import torch

from chain.losses.nt_xent import nt_xent


def views(batch, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, width, dtype=torch.float64, generator=generator)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def slow_nt_xent(z1, z2, temperature):
    z = [*z1, *z2]
    batch, total = len(z1), 0.0
    for i in range(2 * batch):
        positive = math.exp(cosine(z[i], z[(i + batch) % (2 * batch)]) / temperature)
        every = sum(math.exp(cosine(z[i], z[j]) / temperature) for j in range(2 * batch) if j != i)
        total -= math.log(positive / every)
    return total / (2 * batch)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("batch", "width"), [(2, 3), (5, 2), (9, 16)])
def test_equals_slow_twin(batch, width, temperature):
    z1, z2 = views(batch, width)
    expected = slow_nt_xent(z1, z2, temperature)
    assert float(nt_xent(z1, z2, temperature)) == pytest.approx(expected, rel=1e-10)


def test_by_hand():
    z = torch.eye(2)
    # Each anchor: its positive at cosine 1, two others at cosine 0.
    assert float(nt_xent(z, 7 * z, 0.5)) == pytest.approx(math.log(1 + 2 * math.exp(-2)))


def test_one_pair_has_nothing_to_contrast():
    assert float(nt_xent(torch.tensor([[1.0, 0]]), torch.tensor([[0, 1.0]]), 0.5)) == 0


def test_invariances():
    z1, z2 = views(7, 5)
    loss = nt_xent(z1, z2, 0.3)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(nt_xent(z1[order], z2[order], 0.3), loss)
    assert torch.allclose(nt_xent(z2, z1, 0.3), loss)
    assert not torch.allclose(nt_xent(z1[order], z2, 0.3), loss)


def test_gradient():
    z1, z2 = views(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.5), (z1.clone(), z2.clone()))


def test_finite_at_low_temperature():
    z1, z2 = (z.float().requires_grad_() for z in views(6, 4))
    loss = nt_xent(z1, z2, 0.005)
    loss.backward()
    assert loss.isfinite() and z1.grad.isfinite().all()


def test_goes_down():
    z = views(8, 4).requires_grad_()
    optimiser = torch.optim.SGD([z], lr=1.0)
    losses = []
    for _ in range(20):
        loss = nt_xent(z[0], z[1], 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("temperature", [0, -0.1, math.nan])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="temperature"):
        nt_xent(*views(3, 2), temperature)


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3, 2), (3, 5)), ((3,), (3,))])
def test_bad_shapes(shapes):
    with pytest.raises(ValueError, match="views"):
        nt_xent(*(torch.ones(shape) for shape in shapes), 0.5)

import math

import pytest
import torch

from chain.losses.nearest_centre import nearest_centre


def test_by_hand() -> None:
    """Cosines 1, 0 and −1 at temperature ½, and the nearest centre is the answer."""
    centres = torch.tensor([[0.0, 1.0], [3.0, 0.0], [0.0, -1.0]])
    code = torch.tensor([[0.0, 5.0]])
    expected = math.log(math.exp(2) + 1 + math.exp(-2)) - 2
    assert nearest_centre(code, centres, 0.5).item() == pytest.approx(expected)
    turned = torch.tensor([[0.0, 5.0], [-2.0, 0.0]])  # the second is as near to two centres
    second = math.log(1 + 1 + math.exp(-2))
    loss = nearest_centre(turned, centres, 0.5).item()
    assert loss == pytest.approx((expected + second) / 2)


def test_twenty_steps_lower_it() -> None:
    torch.manual_seed(0)
    codes, centres = torch.randn(16, 8, requires_grad=True), torch.randn(5, 8).sign()
    optimiser = torch.optim.Adam([codes], lr=0.05)
    losses = []
    for _ in range(20):
        loss = nearest_centre(codes, centres, 0.2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_bad_temperature() -> None:
    with pytest.raises(ValueError, match="temperature must be above 0, not 0"):
        nearest_centre(torch.ones(2, 3), torch.ones(2, 3), 0)

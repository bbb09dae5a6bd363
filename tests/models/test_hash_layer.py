import pytest
import torch

from chain.models.hash_layer import HashLayer, sign


def test_zero_is_positive() -> None:
    x = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    assert sign(x).tolist() == [-1, -1, 1, 1, 1, 1]


def test_not_a_number_stays_one() -> None:
    """Else a network that has diverged would go on giving codes, and a finite loss."""
    assert sign(torch.tensor([torch.nan, 1.0])).isnan().tolist() == [True, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_type_and_shape_are_kept(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4).to(dtype)
    assert sign(x).dtype == dtype and sign(x).shape == x.shape


def test_gradient_passes_inside_the_open_window_only() -> None:
    x = torch.tensor([-1.5, -1.0, -0.999, -0.0, 0.0, 0.5, 0.999, 1.0, 2.0], requires_grad=True)
    incoming = torch.arange(1.0, 10.0)
    sign(x).backward(incoming)
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 6, 7, 0, 0]


def test_sign_is_conmhs_rounding_of_a_clipped_unit() -> None:
    x = torch.linspace(-3, 3, 1201)
    x = x[x.abs() > 1e-4]  # round(.5) is 0 there, +1 here
    assert torch.equal(sign(x), 2 * ((x + 1) / 2).clamp(0, 1).round() - 1)


def test_layer_is_a_normalised_projection() -> None:
    torch.manual_seed(0)
    layer = HashLayer(6, 16)
    x = torch.randn(2, 5, 6)
    projected = x @ layer.linear.weight.T + layer.linear.bias
    centred = projected - projected.mean(dim=2, keepdim=True)
    expected = centred / (centred.square().mean(dim=2, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), expected)
    codes = sign(layer(x))
    assert codes.shape == (2, 5, 16) and not codes.eq(1).all(dim=2).any()

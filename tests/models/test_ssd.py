import math

import pytest
import torch
from torch import Tensor

from chain.models.ssd import SSD, STATE, SSDAttention, ssd
from chain.models.transformer import TransformerConfig


def recurrence(values: Tensor, log_decay: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
    """One clip and head, place by place: values (T, P), log_decay (T,), keys and queries (T, N)."""
    state = torch.zeros(values.shape[1], keys.shape[1], dtype=values.dtype)
    outputs = []
    for value, log_a, key, query in zip(values, log_decay, keys, queries, strict=True):
        state = math.exp(log_a) * state + torch.outer(value, key)
        outputs.append(state @ query)
    return torch.stack(outputs)


def inputs(length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two clips of three heads of width 4, with a state of width 5, float64."""
    torch.manual_seed(length)
    values, keys, queries = (
        torch.randn(2, length, *size).double() for size in ((3, 4), (5,), (5,))
    )
    return values, -2 * torch.rand(2, length, 3).double(), keys, queries


@pytest.mark.parametrize("length", [1, 2, 7, 32])
def test_dual_form_is_the_recurrence(length: int) -> None:
    values, log_decay, keys, queries = inputs(length)
    result = ssd(values, log_decay, keys, queries)
    assert result.shape == (2, length, 3, 4)
    for clip in range(2):
        for head in range(3):
            expected = recurrence(
                values[clip, :, head], log_decay[clip, :, head], keys[clip], queries[clip]
            )
            torch.testing.assert_close(result[clip, :, head], expected)


def test_dual_form_by_hand() -> None:
    """Decay ½, B = C = 1: y = x0, x1 + x0/2, x2 + x1/2 + x0/4."""
    values = torch.tensor([4.0, 8.0, 16.0]).view(1, 3, 1, 1)
    log_half = torch.full((1, 3, 1), -math.log(2))
    ones = torch.ones(1, 3, 1)
    assert ssd(values, log_half, ones, ones).flatten().tolist() == pytest.approx([4, 10, 21])


def test_dual_form_has_finite_gradients_under_strong_decay() -> None:
    values, log_decay, keys, queries = inputs(32)
    strong = (1000 * log_decay).requires_grad_()
    ssd(values.requires_grad_(), strong, keys, queries).sum().backward()
    assert strong.grad is not None and strong.grad.isfinite().all()
    assert values.grad is not None and values.grad.isfinite().all()


def slow_layer(layer: SSD, clip: Tensor) -> Tensor:
    """One clip (T, W), place by place in both directions."""
    heads, inner = len(layer.skip), layer.norm.normalized_shape[0]
    projected = layer.project(clip)
    gate, values = projected[:, :inner], projected[:, inner : 2 * inner]
    keys, queries = projected[:, 2 * inner :][:, : 2 * STATE].chunk(2, dim=1)
    step = (1 + (projected[:, -heads:] + layer.step_bias).exp()).log()
    columns = []
    for head, value in enumerate(values.chunk(heads, dim=1)):
        rate = layer.log_rate[head].exp()
        one = (value * step[:, head, None], -step[:, head] * rate, keys, queries)
        forwards = recurrence(*one)
        backwards = recurrence(*(part.flip(0) for part in one)).flip(0)
        columns.append(forwards + backwards + layer.skip[head] * value)
    gated = torch.cat(columns, dim=1) * gate * gate.sigmoid()
    rms = (gated.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
    return layer.out(gated / rms * layer.norm.weight)


@torch.no_grad()
@pytest.mark.parametrize(("width", "heads"), [(12, 3), (14, 4)])
def test_layer_against_a_slow_twin(width: int, heads: int) -> None:
    torch.manual_seed(0)
    layer, tokens = SSD(width, heads), torch.randn(2, 6, width)
    layer.skip += torch.randn(heads)
    layer.norm.weight += torch.randn(len(layer.norm.weight))
    expected = torch.stack([slow_layer(layer, clip) for clip in tokens])
    torch.testing.assert_close(layer(tokens), expected, atol=1e-5, rtol=1e-4)


def test_first_steps_and_rates_are_in_the_papers_range() -> None:
    layer = SSD(512, 256)
    steps, rates = torch.nn.functional.softplus(layer.step_bias), layer.log_rate.exp()
    assert 0.00099 < steps.min() < 0.0012 and 0.08 < steps.max() < 0.101
    assert 0.99 < rates.min() < 1.5 and 15.5 < rates.max() < 16.1


@torch.no_grad()
def test_encoder_sees_both_directions_and_no_other_clip() -> None:
    torch.manual_seed(0)
    encoder = SSDAttention(TransformerConfig(width=16, depth=2, heads=4))
    tokens = torch.randn(3, 6, 16)
    hidden = encoder(tokens)
    assert hidden.shape == (3, 6, 16)
    torch.testing.assert_close(encoder(tokens[1:2])[0], hidden[1])
    torch.testing.assert_close(hidden.mean(dim=2), torch.zeros(3, 6), atol=1e-5, rtol=0)
    layer, changed = SSD(16, 4), tokens.clone()
    changed[1, 3, 0] += 1.0
    difference = (layer(changed) - layer(tokens)).abs().amax(dim=2)
    assert (difference[1] > 1e-7).all() and not difference[[0, 2]].any()


@torch.no_grad()
def test_encoder_is_pre_norm_and_residual() -> None:
    torch.manual_seed(0)
    encoder = SSDAttention(TransformerConfig(width=16, depth=1, heads=4))
    tokens = torch.randn(2, 5, 16)
    first, second = encoder.layers
    between = tokens + first(encoder.norms[0](tokens))
    last = between + second(encoder.norms[1](between))
    torch.testing.assert_close(encoder(tokens), encoder.norm(last))
    order = torch.tensor([3, 0, 4, 1, 2])
    assert (encoder(tokens[:, order]) - encoder(tokens)[:, order]).abs().max() > 1e-4

import math

import pytest
import torch
from torch import Tensor

from chain.models.ssd import STATE, AttentionBlock, SSDBlock, heads_of, ssd


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


def slow_layer(layer: SSDBlock, clip: Tensor) -> Tensor:
    """One clip (T, W), place by place."""
    heads, inner = len(layer.skip), layer.out.in_features
    rms = (clip.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    expanded = (clip / rms * layer.norm.weight) @ layer.expand.weight.T
    before, gate = expanded[:, :inner], expanded[:, inner:]
    values = torch.zeros_like(before)
    for place in range(len(clip)):
        for channel in range(inner):  # pairs of channels are mixed
            for k in range(2):
                for tap in range(4):  # the last tap is on the present place
                    if place + tap - 3 >= 0:
                        weight = layer.convolution.weight[channel, k, tap]
                        source = before[place + tap - 3, channel // 2 * 2 + k]
                        values[place, channel] += weight * source
    read = values @ layer.read.weight.T
    step = (1 + (read[:, :heads] + layer.step_bias).exp()).log()
    keys, queries = read[:, heads : heads + STATE], read[:, heads + STATE :]
    columns = []
    for head, value in enumerate(values.chunk(heads, dim=1)):
        log_decay = -step[:, head] * layer.log_rate[head].exp()
        scanned = recurrence(value * step[:, head, None], log_decay, keys, queries)
        columns.append(scanned + layer.skip[head] * value)
    return clip + layer.out(torch.cat(columns, dim=1) * gate * gate.sigmoid())


@torch.no_grad()
@pytest.mark.parametrize(("width", "heads"), [(12, 1), (64, 1), (128, 2)])
def test_layer_against_a_slow_twin(width: int, heads: int) -> None:
    torch.manual_seed(0)
    layer, tokens = SSDBlock(width), torch.randn(1, 5, width)
    assert heads_of(width) == heads == len(layer.skip)
    layer.skip += torch.randn(heads)
    layer.step_bias += torch.randn(heads)
    layer.norm.weight += torch.randn(width)
    expected = torch.stack([slow_layer(layer, clip) for clip in tokens])
    torch.testing.assert_close(layer(tokens), expected, atol=1e-5, rtol=1e-4)


def test_first_steps_and_rates() -> None:
    torch.manual_seed(0)
    layers = [SSDBlock(512) for _ in range(50)]  # of eight heads
    rates = torch.cat([layer.log_rate.exp() for layer in layers])
    assert 0.99 < rates.min() < 1.5 and 15.5 < rates.max() < 16.1
    assert not any(layer.step_bias.any() for layer in layers)


@torch.no_grad()
def test_layer_is_causal_and_sees_no_other_clip() -> None:
    torch.manual_seed(0)
    layer, tokens = SSDBlock(16), torch.randn(3, 6, 16)
    changed = tokens.clone()
    changed[1, 3, 0] += 1.0
    difference = (layer(changed) - layer(tokens)).abs().amax(dim=2)
    assert (difference[1, 3:] > 1e-7).all()
    assert not difference[1, :3].any() and not difference[[0, 2]].any()


@torch.no_grad()
def test_attention_block_against_torch() -> None:
    torch.manual_seed(0)
    block, tokens = AttentionBlock(12, 3), torch.randn(2, 5, 12)
    block.norm.weight += torch.randn(12)
    assert block.attention.qkv.bias is None
    twin = torch.nn.MultiheadAttention(12, 3, bias=True, batch_first=True)
    twin.in_proj_weight.copy_(block.attention.qkv.weight)
    twin.in_proj_bias.zero_()
    twin.out_proj.load_state_dict(block.attention.out.state_dict())
    normalised = block.norm(tokens)
    expected = tokens + twin(normalised, normalised, normalised, need_weights=False)[0]
    torch.testing.assert_close(block(tokens), expected)


@torch.no_grad()
@pytest.mark.parametrize("times", [1, 3])
def test_first_token_that_stands_there_several_times(times: int) -> None:
    torch.manual_seed(0)
    block, tokens = AttentionBlock(12, 3), torch.randn(2, 5, 12)
    repeated = torch.cat([tokens[:, :1].expand(-1, times - 1, -1), tokens], dim=1)
    torch.testing.assert_close(block.of_first(tokens, times), block(repeated)[:, :1])

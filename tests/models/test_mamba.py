import math

import pytest
import torch
from torch import Tensor

from chain.models.mamba import STATE, BothWays, Mamba, MambaConfig, MambaStack, selective_scan


def recurrence(
    values: Tensor, step: Tensor, rates: Tensor, keys: Tensor, queries: Tensor
) -> Tensor:
    """One clip, number by number: values and step (T, D), rates (D, N), keys and queries (T, N)."""
    outputs = torch.zeros_like(values)
    for channel in range(values.shape[1]):
        state = [0.0] * rates.shape[1]
        for place in range(len(values)):
            x, delta = float(values[place, channel]), float(step[place, channel])
            for n in range(rates.shape[1]):
                decay = math.exp(-delta * float(rates[channel, n]))
                state[n] = decay * state[n] + delta * x * float(keys[place, n])
                outputs[place, channel] += state[n] * float(queries[place, n])
    return outputs


def inputs(length: int) -> tuple[Tensor, ...]:
    """Two clips of three channels with states of four numbers, float64."""
    torch.manual_seed(length)
    values, step = torch.randn(2, length, 3).double(), torch.rand(2, length, 3).double() + 0.1
    rates = torch.rand(3, 4).double() + 0.5
    return values, step, rates, *torch.randn(2, 2, length, 4).double()


@pytest.mark.parametrize("length", [1, 2, 9])
def test_scan_is_the_recurrence(length: int) -> None:
    values, step, rates, keys, queries = inputs(length)
    result = selective_scan(values, step, rates, keys, queries)
    assert result.shape == values.shape
    for clip in range(2):
        expected = recurrence(values[clip], step[clip], rates, keys[clip], queries[clip])
        torch.testing.assert_close(result[clip], expected)


def test_scan_by_hand() -> None:
    """Decay ½ a place, Δ = B = C = 1: y = x0, x1 + x0/2, x2 + x1/2 + x0/4."""
    values, ones = torch.tensor([4.0, 8.0, 16.0]).view(1, 3, 1), torch.ones(1, 3, 1)
    rates = torch.full((1, 1), math.log(2))
    result = selective_scan(values, ones, rates, ones, ones)
    assert result.flatten().tolist() == pytest.approx([4, 10, 21])


def test_gradients_of_the_scan() -> None:
    assert torch.autograd.gradcheck(selective_scan, [each.requires_grad_() for each in inputs(4)])


def slow_mamba(layer: Mamba, clip: Tensor) -> Tensor:
    """One clip (T, W), place by place."""
    inner, length = len(layer.skip), len(clip)
    expanded = clip @ layer.expand.weight.T
    before, gate = expanded[:, :inner], expanded[:, inner:]
    values = torch.zeros_like(before)
    for place in range(length):
        total = layer.convolution.bias.clone()
        for tap in range(4):  # the last tap is on the present place
            if place + tap - 3 >= 0:
                total += layer.convolution.weight[:, 0, tap] * before[place + tap - 3]
        values[place] = total * total.sigmoid()
    read = values @ layer.read.weight.T
    rank = read.shape[1] - 2 * STATE
    step = (1 + layer.step(read[:, :rank]).exp()).log()
    keys, queries = read[:, rank : rank + STATE], read[:, rank + STATE :]
    mixed = recurrence(values, step, layer.log_rate.exp(), keys, queries)
    return ((mixed + layer.skip * values) * gate * gate.sigmoid()) @ layer.out.weight.T


@torch.no_grad()
def test_layer_against_a_slow_twin() -> None:
    torch.manual_seed(0)
    layer, tokens = Mamba(18), torch.randn(2, 6, 18)
    assert layer.step.in_features == 2  # ceil(18 / 16)
    layer.skip += torch.randn(36)
    layer.log_rate += torch.randn(36, 16) / 4
    expected = torch.stack([slow_mamba(layer, clip) for clip in tokens])
    torch.testing.assert_close(layer(tokens), expected, atol=1e-5, rtol=1e-4)


def test_first_rates_and_skips() -> None:
    layer = Mamba(16)
    assert layer.log_rate.exp().tolist()[5] == pytest.approx(range(1, 17))
    assert layer.skip.unique().tolist() == [1]


@torch.no_grad()
def test_block_reads_both_ways_with_one_layer_and_two_norms() -> None:
    torch.manual_seed(0)
    block, tokens = BothWays(16), torch.randn(2, 5, 16)
    block.norm2.weight += torch.randn(16)
    forwards = block.mamba(block.norm1(tokens))
    backwards = torch.stack(
        [block.mamba(block.norm2(clip[[4, 3, 2, 1, 0]])[None])[0] for clip in tokens]
    )[:, [4, 3, 2, 1, 0]]
    torch.testing.assert_close(block(tokens), tokens + forwards + backwards)
    changed = tokens.clone()
    changed[1, 2, 0] += 1
    moved = (block(changed) - block(tokens)).abs().amax(dim=2)
    assert (moved[1] > 1e-7).all() and not moved[0].any()
    alone = (block.mamba(changed) - block.mamba(tokens)).abs().amax(dim=2)
    assert not alone[1, :2].any() and (alone[1, 2:] > 1e-7).all()  # causal


@torch.no_grad()
def test_stack_ends_in_a_norm() -> None:
    torch.manual_seed(0)
    stack, tokens = MambaStack(MambaConfig(width=16, depth=2)), torch.randn(3, 5, 16)
    assert len(stack.blocks) == 2
    torch.testing.assert_close(stack(tokens), stack.norm(stack.blocks[1](stack.blocks[0](tokens))))
    torch.testing.assert_close(stack(tokens[1:2])[0], stack(tokens)[1])

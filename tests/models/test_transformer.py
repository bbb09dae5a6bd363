import math

import pytest
import torch
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.core.params import parse
from chain.models.positions import sinusoid
from chain.models.transformer import (
    Attention,
    Block,
    Transformer,
    TransformerConfig,
    recompute_blocks,
    xavier_linears,
)


def slow_attention(attention: Attention, tokens: Tensor) -> Tensor:
    """One clip, head and query at a time."""
    weight, bias = attention.qkv.weight.detach(), attention.qkv.bias.detach()
    inner, heads = len(weight) // 3, attention.heads
    size = inner // heads
    mixed = torch.zeros(*tokens.shape[:2], inner)
    for b, clip in enumerate(tokens):
        query, key, value = ((weight @ clip.T).T + bias).split(inner, dim=1)
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            for i in range(len(clip)):
                scores = [float(query[i, own] @ k) / math.sqrt(size) for k in key[:, own]]
                total = sum(math.exp(score) for score in scores)
                mixed[b, i, own] = sum(
                    math.exp(score) / total * v
                    for score, v in zip(scores, value[:, own], strict=True)
                )
    return mixed @ attention.out.weight.detach().T + attention.out.bias.detach()


@pytest.mark.parametrize(("width", "heads"), [(8, 2), (10, 3), (8, 8), (9, 1)])
def test_attention_against_a_slow_twin(width: int, heads: int) -> None:
    torch.manual_seed(0)
    attention = Attention(width, heads)
    tokens = torch.randn(2, 4, width)
    torch.testing.assert_close(attention(tokens), slow_attention(attention, tokens))


def test_block_is_pre_norm_with_two_residuals() -> None:
    torch.manual_seed(0)
    block = Block(8, 2)
    tokens = torch.randn(2, 4, 8)

    def normalised(x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()

    middle = tokens + block.attention(normalised(tokens))
    first, _, last = block.mlp
    hidden = first(normalised(middle))
    gelu = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    torch.testing.assert_close(block(tokens), middle + last(gelu))


def test_sizes_of_conmhs_encoder_and_decoder() -> None:
    """Six heads of 42, so an inner width of 252; MLP of four times the width; norms of 1e-6."""
    encoder = Transformer(TransformerConfig(width=256, depth=12, heads=6))
    decoder = Transformer(TransformerConfig(width=192, depth=2, heads=3))
    for network, depth, width, inner in ((encoder, 12, 256, 252), (decoder, 2, 192, 192)):
        assert len(network.blocks) == depth
        for block in network.blocks:
            assert block.attention.qkv.weight.shape == (3 * inner, width)
            assert block.attention.out.weight.shape == (width, inner)
            assert block.mlp[0].weight.shape == (4 * width, width)
            assert block.norm1.eps == block.norm2.eps == network.norm.eps == 1e-6
        attention = width * 3 * inner + 3 * inner + inner * width + width
        mlp = 8 * width * width + 5 * width
        expected = depth * (attention + mlp + 4 * width) + 2 * width
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_output_is_normalised() -> None:
    torch.manual_seed(0)
    tokens = Transformer(TransformerConfig(width=16, depth=2, heads=2))(5 * torch.randn(3, 7, 16))
    assert tokens.shape == (3, 7, 16)
    torch.testing.assert_close(tokens.mean(dim=2), torch.zeros(3, 7), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(dim=2, correction=0), torch.ones(3, 7), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 10}, "encoder: 10 heads don't fit in width 8"),
        ({"width": 9}, "encoder.width: .*multiple of 2"),
        ({"depth": 0}, "encoder.depth: .*greater than or equal to 1"),
    ],
)
def test_impossible_sizes(change: dict[str, int], message: str) -> None:
    size = {"width": 8, "depth": 1, "heads": 2}
    with pytest.raises(InputError, match=message):
        parse(TransformerConfig, size | change, "encoder")


def test_xavier_linears() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(30, 50), nn.LayerNorm(50), nn.Linear(50, 7, bias=False))
    network.apply(xavier_linears)
    bound = math.sqrt(6 / 80)
    assert 0.95 * bound < network[0].weight.abs().max() <= bound
    assert not network[0].bias.any()
    assert 0.9 * math.sqrt(6 / 57) < network[2].weight.abs().max() <= math.sqrt(6 / 57)
    assert (network[1].weight == 1).all()


@pytest.mark.parametrize(("length", "width"), [(1, 2), (5, 8), (4, 7)])
def test_sinusoid_against_its_formula(length: int, width: int) -> None:
    table = sinusoid(length, width)
    assert table.shape == (length, width) and table.dtype == torch.float32
    for position in range(length):
        for column in range(width):
            angle = position / 10000 ** ((column - column % 2) / width)
            expected = math.sin(angle) if column % 2 == 0 else math.cos(angle)
            assert table[position, column].item() == pytest.approx(expected, abs=1e-6)


def test_recomputing_changes_no_gradient() -> None:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(width=16, depth=2, heads=2))
    tokens = torch.randn(3, 5, 16)
    stored = gradients(model, tokens)
    calls = []
    model.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    recompute_blocks(nn.ModuleList([model]))
    assert all(torch.equal(a, b) for a, b in zip(gradients(model, tokens), stored, strict=True))
    assert len(calls) == 2  # on the way forth, and again on the way back
    model.eval()
    gradients(model, tokens)
    assert len(calls) == 3


def gradients(model: Transformer, tokens: Tensor) -> list[Tensor]:
    model.zero_grad()
    model(tokens).square().sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]

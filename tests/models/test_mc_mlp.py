"""The mixer against twins that go place by place; whole against the authors' numbers in
`tests/methods/test_mcmsh_golden.py`."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chain.models.mc_mlp import MCMLP, Gates, MixerBlock, Pool, check_width


def randomised(network: nn.Module) -> nn.Module:
    """In evaluation mode, and with other statistics than a fresh network has."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            for value in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(value)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def places_first(x: Tensor) -> Tensor:
    """(B, n, c) -> one pass (n, B, 1, c)."""
    return x.transpose(0, 1)[:, :, None]


def batch_first(x: Tensor) -> Tensor:
    """(n, B, 1, c) -> (B, n, c)."""
    return x.squeeze(2).transpose(0, 1)


def normal(bn: nn.Module, channel: int, value: Tensor) -> Tensor:
    assert isinstance(bn, nn.BatchNorm1d)
    scaled = (value - bn.running_mean[channel]) / (bn.running_var[channel] + bn.eps).sqrt()
    return scaled * bn.weight[channel] + bn.bias[channel]


def slow_convolution(net: nn.Sequential, u: Tensor) -> Tensor:
    """(c, n) -> the gate (c, n), place by place and channel by channel."""

    def convolved(layer: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(layer, nn.Conv1d) and layer.bias is None
        out, per = layer.weight.shape[:2]
        around = F.pad(x, (1, 1))
        rows = []
        for channel in range(out):
            first = channel // (out // layer.groups) * per
            rows.append(
                torch.stack(
                    [
                        (layer.weight[channel] * around[first : first + per, k : k + 3]).sum()
                        for k in range(x.shape[1])
                    ]
                )
            )
        return torch.stack(rows)

    inner = convolved(net[0], u)
    inner = torch.stack([normal(net[1], k, row) for k, row in enumerate(inner)]).clamp(min=0)
    outer = convolved(net[3], inner)
    return torch.stack([normal(net[4], k, row) for k, row in enumerate(outer)]).sigmoid()


@pytest.mark.parametrize(
    ("places", "channels", "inner", "grouped"),
    [
        (7, 8, 2, True),
        (7, 8, 2, False),
        (1, 4, 1, False),
        (2, 6, 3, True),
        (9, 32, 2, True),
    ],
)
def test_gates_against_a_slow_twin(places: int, channels: int, inner: int, grouped: bool) -> None:
    gates = randomised(Gates(places, channels, inner, grouped))
    assert isinstance(gates, Gates)
    x = torch.randn(2, places, channels)
    for clip, result in zip(x, batch_first(gates(places_first(x))), strict=True):
        total = torch.zeros_like(clip)
        for kind in (gates.long, gates.middle, gates.short):
            u = (kind.fc1.weight @ clip + kind.fc1.bias[:, None]).T  # (c, n)
            if kind is gates.long:
                squeeze, bn1, _, excite, bn2, _ = kind.gate.bottleneck
                low = normal(bn1, slice(None), squeeze.weight @ u.mean(dim=1)).relu()
                gate = normal(bn2, slice(None), excite.weight @ low).sigmoid()[:, None]
            elif kind is gates.middle:
                parts = max(1, places // 3)
                coarse = slow_convolution(kind.gate[1], F.adaptive_avg_pool1d(u, parts))
                gate = F.adaptive_avg_pool1d(coarse, places)
            else:
                gate = slow_convolution(kind.gate, u)
            total += kind.fc2.weight @ (u * gate).T + kind.fc2.bias[:, None]
        torch.testing.assert_close(result, total, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("places", "parts"), [(25, 8), (8, 25), (8, 2), (2, 8), (3, 1), (5, 5)])
def test_pool_is_torchs_adaptive_one(places: int, parts: int) -> None:
    x = torch.randn(2, 3, places)
    pooled = Pool(places, parts)(x.permute(2, 0, 1)[:, :, None])
    expected = F.adaptive_avg_pool1d(x, parts)
    torch.testing.assert_close(pooled.squeeze(2).permute(1, 2, 0), expected)


def test_residuals() -> None:
    """Both mixers add to their input, the last gates do not."""
    block, x = randomised(MixerBlock(6, 16)), torch.randn(6, 2, 1, 16)
    assert isinstance(block, MixerBlock)
    tokens = x + block.token_gates(block.tokens(x).transpose(0, 3)).transpose(0, 3)
    torch.testing.assert_close(block(x), tokens + block.channel_gates(block.channels(tokens)))
    mixer = randomised(MCMLP(6, 16, depth=2))
    assert isinstance(mixer, MCMLP)
    expected = mixer.gates(mixer.blocks[1](mixer.blocks[0](x.clamp(min=0))))
    torch.testing.assert_close(mixer(batch_first(x)), batch_first(expected))


def test_passes_are_those_of_separate_calls() -> None:
    """Outputs, gradients and running statistics, with dropout switched off."""
    together, apart = MCMLP(6, 32), MCMLP(6, 32)
    for mixer in (together, apart):
        randomised(mixer).train()
        for module in mixer.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    apart.load_state_dict(together.state_dict())
    tokens = torch.randn(12, 6, 32)
    passes = tokens.view(4, 3, 6, 32)
    outputs = together(passes), torch.stack([apart(part) for part in passes.unbind(1)], dim=1)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().mean().backward()
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-3)
    for name, value in together.state_dict().items():
        torch.testing.assert_close(value, apart.state_dict()[name])
    assert together.blocks[0].token_gates.long.gate.bottleneck[1].num_batches_tracked == 3


def test_published_size() -> None:
    """Its 18 batch normalisations, and its parameters counted by hand, without projections."""

    def gates(places: int, channels: int, inner: int, groups: int) -> int:
        mixing = 2 * (places * places + places)
        norms = 2 * inner + 2 * channels
        linear = 2 * channels * inner
        return 3 * (mixing + norms) + linear + 2 * (2 * 3 * channels * inner // groups)

    def mlp(width: int) -> int:
        return 4 * width * width + 3 * width

    mixer = MCMLP(25, 256)
    total = mlp(25) + gates(256, 25, 6, 1) + mlp(256) + 2 * gates(25, 256, 16, 16)
    assert sum(parameter.numel() for parameter in mixer.parameters()) == total
    assert sum(isinstance(module, nn.BatchNorm1d) for module in mixer.modules()) == 18


@pytest.mark.parametrize("width", [2, 16, 31, 34, 256])
def test_widths_that_make_groups(width: int) -> None:
    check_width(width)
    assert MCMLP(4, width).eval()(torch.randn(1, 4, width)).shape == (1, 4, width)


def test_width_that_makes_none() -> None:
    with pytest.raises(ValueError, match="width 50 does not make 3 groups; take a multiple of 16"):
        MCMLP(4, 50)

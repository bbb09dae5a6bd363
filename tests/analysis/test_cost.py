import torch
from torch import Tensor, nn

from chain.analysis.cost import cost
from chain.methods.base import Method, MethodConfig


class Small(Method):
    Config = MethodConfig

    def __init__(self, config: MethodConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.hash = nn.Linear(feature_width, bits)
        self.head = nn.Linear(bits, 3)  # serves training only
        self.register_buffer("mean", torch.zeros(feature_width))

    def encode(self, features: Tensor) -> Tensor:
        hashed: Tensor = self.hash(features)
        return hashed.mean(dim=1)


def test_cost_by_hand() -> None:
    model = Small(MethodConfig(frames=5), 7, 16)
    assert cost(model, 7) == {
        "parameters": 7 * 16 + 16 + 16 * 3 + 3,
        "mmacs": 5 * 7 * 16 / 1_000_000,
        "bytes": 2,
    }

import math

import pytest
import torch

from chain.losses.neighbourhood import neighbourhood


def example(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(5, 8, generator=generator, dtype=torch.float64),
        torch.randn(5, 8, generator=generator, dtype=torch.float64),
        torch.randn(5, 3, generator=generator, dtype=torch.float64),
    )


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_equals_slow_twin() -> None:
    first, second, features = (tensor.tolist() for tensor in example())
    total = sum(
        (cosine(first[i], second[j]) - cosine(features[i], features[j])) ** 2
        for i in range(5)
        for j in range(5)
    )
    assert float(neighbourhood(*example())) == pytest.approx(total / 25)


def test_by_hand() -> None:
    code = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # Cosines of codes 1, 0, 0, 1; of features 1 throughout.
    assert float(neighbourhood(code, code, features)) == pytest.approx(0.5)
    assert float(neighbourhood(code, code, torch.eye(2))) == pytest.approx(0, abs=1e-12)


def test_lengths_do_not_matter_and_features_are_constant() -> None:
    first, second, features = example()
    first.requires_grad_()
    features.requires_grad_()
    loss = neighbourhood(first, second, features)
    torch.testing.assert_close(neighbourhood(3 * first, second, features / 7), loss)
    torch.testing.assert_close(neighbourhood(second, first, features), loss)
    loss.backward()
    assert first.grad is not None and first.grad.any() and features.grad is None


def test_bad_shapes() -> None:
    first, second, features = example()
    for bad in ((first[:4], second, features), (first, second, features[:4]), (first[0],) * 3):
        with pytest.raises(ValueError, match=r"codes must be \(B, b\)"):
            neighbourhood(*bad)

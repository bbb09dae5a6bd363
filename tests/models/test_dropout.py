import torch

from chain.models.dropout import Dropout


def test_share_and_scale() -> None:
    """Of 40,000 entries .3 are dropped, within four standard deviations; the others are scaled."""
    torch.manual_seed(0)
    x = torch.full((200, 200), 7.0, requires_grad=True)
    result = Dropout(0.3)(x)
    kept = result != 0
    assert abs(kept.float().mean().item() - 0.7) < 0.01
    torch.testing.assert_close(result[kept], torch.full_like(result[kept], 10.0))
    result.sum().backward()
    torch.testing.assert_close(x.grad, kept / 0.7)


def test_none_and_evaluation() -> None:
    x = torch.randn(5, 5)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_masks_follow_the_seed() -> None:
    x, dropout = torch.ones(100), Dropout(0.5)
    torch.manual_seed(1)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), first) and not torch.equal(first, second)

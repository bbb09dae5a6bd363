"""The plain ConMH of the benchmark does the same work as ours."""

import torch

from benchmarks.plain_conmh import PlainConMH
from benchmarks.published import published
from chain.methods.conmh import ConMH


def test_same_loss_and_gradients_from_the_same_weights() -> None:
    torch.manual_seed(0)
    ours = ConMH(published("conmh", {"encoder": {"depth": 2}}), 40, 16)
    plain = PlainConMH(feature_width=40, frames=25, bits=16, depth=2)
    pairs = list(zip(plain.parameters(), ours.parameters(), strict=True))
    with torch.no_grad():
        for to, weight in pairs:
            to.copy_(weight)
    features, order = torch.rand(6, 25, 40), torch.rand(6, 25).argsort(dim=1)

    loss, expected = plain(features, order), ours.losses(features, order)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    expected.backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(loss, expected)
    for to, weight in pairs:
        torch.testing.assert_close(to.grad, weight.grad, rtol=1e-4, atol=1e-6)

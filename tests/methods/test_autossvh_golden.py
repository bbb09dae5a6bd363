"""AutoSSVH's losses against numbers that the authors' code computed (`golden/`)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_numbers import agree, golden
from torch import Tensor

from chain.losses.centroids import centroid_contrast, concentrations
from chain.losses.debiased import debiased_contrastive
from chain.methods.autossvh import Clustering

GOLDEN = golden("autossvh_centroid_loss")
CLUSTERINGS = ("k05", "k14")


def clustering(name: str, monkeypatch: pytest.MonkeyPatch) -> Clustering:
    """With the centres that were given to the authors' code in place of those of its k-means."""
    centres, labels = GOLDEN[f"input.centres_{name}"], GOLDEN[f"output.{name}.assignment"]
    monkeypatch.setattr("chain.methods.autossvh.kmeans", lambda codes, clusters: (labels, centres))
    return Clustering(GOLDEN["input.bank"], len(centres))


def drawn(name: str, view: int) -> Tensor:
    """The clips' own clusters, and the negatives that the authors' code drew."""
    own = GOLDEN[f"output.{name}.assignment"][GOLDEN["input.index"]]
    return torch.cat([own, GOLDEN[f"input.negatives_{name}_view{view}"]])


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_concentrations_and_centroids(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    centres, labels = GOLDEN[f"input.centres_{name}"], GOLDEN[f"output.{name}.assignment"]
    assert torch.equal(torch.cdist(GOLDEN["input.bank"], centres).argmin(dim=1), labels)
    expected = GOLDEN[f"output.{name}.concentration"]
    agree(concentrations(GOLDEN["input.bank"], labels, centres), expected)
    found = clustering(name, monkeypatch)
    agree(found.concentrations, expected)
    agree(found.centroids, GOLDEN[f"output.{name}.unit_centres"])


def test_losses_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [GOLDEN[f"input.mean_code_{view}"].clone().requires_grad_() for view in (1, 2)]
    terms = {}
    for name in CLUSTERINGS:
        held = clustering(name, monkeypatch)
        for view in (1, 2):
            terms[name, view] = held.contrast(codes[view - 1], drawn(name, view))
            agree(terms[name, view], GOLDEN[f"output.{name}.loss.view{view}"])
    for view in (1, 2):
        mean = torch.stack([terms[name, view] for name in CLUSTERINGS]).mean()
        agree(mean, GOLDEN[f"output.loss.view{view}"])
    total = torch.stack(list(terms.values())).mean()
    agree(total, GOLDEN["output.loss.total"])
    total.backward()
    for view in (1, 2):
        agree(codes[view - 1].grad, GOLDEN[f"output.grad.mean_code_{view}"])


def test_contrast_of_the_views() -> None:
    codes = [GOLDEN[f"input.mean_code_{view}"] for view in (1, 2)]
    agree(debiased_contrastive(*codes, 0.5, 0.1), GOLDEN["output.contrastive"])


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_negatives_are_drawn_among_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the authors' code drew, and each of those that it drew comes up."""
    held, rows = clustering(name, monkeypatch), GOLDEN["input.index"].numpy()
    own, theirs = drawn(name, 1)[:4], GOLDEN[f"input.negatives_{name}_view1"]
    seen = set()
    for seed in range(50):
        found = held.draw(rows, np.random.default_rng(seed))
        assert found[:4].tolist() == own.tolist() and len(found) == 4 + len(theirs)
        seen |= set(found[4:].tolist())
    last = int(GOLDEN[f"output.{name}.assignment"].max())
    assert seen == set(range(last + 1)) - set(own.tolist())


def test_centroids_need_their_length() -> None:
    """The numbers see whether centroids were scaled to length 1."""
    code, chosen = GOLDEN["input.mean_code_1"], drawn("k14", 1)
    plain, loose = GOLDEN["input.centres_k14"][chosen], GOLDEN["output.k14.concentration"][chosen]
    expected = GOLDEN["output.k14.loss.view1"]
    agree(centroid_contrast(code, F.normalize(plain, dim=1), loose), expected)
    with pytest.raises(AssertionError):
        agree(centroid_contrast(code, plain, loose), expected)

"""Affinity propagation for a batch of videos at once (Frey & Dueck, Science 315, 2007).

Every frame sends every other a responsibility r(i, k), how well k would serve as the exemplar of i,
and an availability a(i, k), how much support k has for that role:

    r(i, k) <- s(i, k) - max_{k' != k} (a(i, k') + s(i, k'))
    a(i, k) <- min(0, r(k, k) + sum_{i' not in {i, k}} max(0, r(i', k)))
    a(k, k) <- sum_{i' != k} max(0, r(i', k))

Both are damped, and k is an exemplar while r(k, k) + a(k, k) > 0. The stopping rule, the refinement
of exemplars and the degenerate cases are those of `sklearn.cluster.AffinityPropagation`. Given the
same noise to break ties, both give the same scenes. Here the noise is fixed, so results repeat. The
noise matters where a scene has two frames, which suit equally as its exemplar. There it decides on
the exemplar, at times on the scenes as well, and scikit-learn's results differ between random
states.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def frame_similarity(frames: Tensor) -> Tensor:
    """Minus the squared distance of L2-normalised frames: (B, T, D) -> (B, T, T) float64."""
    unit = F.normalize(frames.detach().double(), dim=2)
    # It is rounded, so that equal frames are at exactly 0 whatever the order of the sums.
    return (2 * unit @ unit.mT - 2).round(decimals=12)


def median_preference(similarity: Tensor, scale: float = 1.0) -> Tensor:
    """The median of all T×T similarities times `scale`: (B, T, T) -> (B,).

    Scale 1 is scikit-learn's default. Similarities are negative, so a larger scale makes a lower
    preference and fewer scenes.
    """
    ordered = similarity.flatten(1).sort(dim=1).values
    count = ordered.shape[1]
    return scale * (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2


def affinity_propagation(
    similarity: Tensor,
    preference: Tensor | float | None = None,
    damping: float = 0.5,
    max_iterations: int = 200,
    convergence_iterations: int = 15,
) -> Tensor:
    """The scene of each frame. Every video is clustered on its own.

    Args:
        similarity: (B, T, T) s(i, k). The preference takes the place of its diagonal.
        preference: how much a frame wants to be an exemplar. It is given for each video (B,), or
            once for all. None stands for `median_preference`.
        damping: share of the old message kept at each update, in [0.5, 1).
        max_iterations: updates before giving up on a video.
        convergence_iterations: a video is done once its exemplars have lasted for so many updates.

    Returns:
        labels (B, T) int64, numbered 0, 1, … in the order of the scenes' exemplars. A video that
        does not converge gets the scenes of its last update. If it has no exemplar then, all its
        labels are -1.

    Raises:
        ValueError: similarity is not (B, T, T) or not finite, or damping is outside [0.5, 1).
    """
    exemplars = exemplar_of_frames(
        similarity, preference, damping, max_iterations, convergence_iterations
    )
    chosen = torch.zeros_like(exemplars, dtype=torch.bool)
    chosen = chosen.scatter(1, exemplars.clamp(min=0), True)
    labels = (chosen.cumsum(dim=1) - 1).gather(1, exemplars.clamp(min=0))
    return labels.where(exemplars >= 0, -1)


@torch.no_grad()
def exemplar_of_frames(
    similarity: Tensor,
    preference: Tensor | float | None = None,
    damping: float = 0.5,
    max_iterations: int = 200,
    convergence_iterations: int = 15,
) -> Tensor:
    """The exemplar of each frame (B, T) int64, or -1 where `affinity_propagation` has -1."""
    if similarity.ndim != 3 or similarity.shape[1] != similarity.shape[2]:
        raise ValueError(f"similarity must be (B, T, T), not {tuple(similarity.shape)}")
    if not similarity.isfinite().all():
        raise ValueError("similarity must be finite")
    if not 0.5 <= damping < 1:
        raise ValueError(f"damping must be in [0.5, 1), not {damping}")
    similarity = similarity.double()
    if preference is None:
        preference = median_preference(similarity)
    preference = torch.as_tensor(preference, dtype=torch.float64, device=similarity.device)
    preference = preference.expand(len(similarity))

    frames = torch.arange(similarity.shape[1], device=similarity.device)
    diagonal = frames[:, None] == frames
    corner = similarity[:, 0, -1]
    # Messages cannot tell equal similarities apart. Then every frame is a scene, or all are one.
    equal = ((similarity == corner[:, None, None]) | diagonal).all(dim=2).all(dim=1)  # (B,)
    trivial = torch.where((preference > corner)[:, None], frames, 0)  # (B, T)

    similarity = torch.where(diagonal, preference[:, None, None], similarity)
    similarity = similarity + _noise(similarity)
    chosen = _pass_messages(similarity, ~equal, damping, max_iterations, convergence_iterations)
    exemplars = _assign(similarity, _refine(similarity, _assign(similarity, chosen)))
    exemplars = exemplars.where(chosen.any(dim=1, keepdim=True), -1)
    return torch.where(equal[:, None], trivial, exemplars)


def _noise(similarity: Tensor) -> Tensor:
    """Noise at the last bit that breaks ties. It is the same in every video, batch and device."""
    limits = torch.finfo(similarity.dtype)
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(similarity.shape[1:], generator=generator, dtype=similarity.dtype)
    return (limits.eps * similarity + 100 * limits.tiny) * normal.to(similarity.device)


def _pass_messages(
    similarity: Tensor,
    wanted: Tensor,
    damping: float,
    max_iterations: int,
    convergence_iterations: int,
) -> Tensor:
    """Which frames are exemplars, (B, T) bool. Videos that are not `wanted` (B,) have none."""
    chosen = similarity.new_zeros(similarity.shape[:2], dtype=torch.bool)
    running = wanted.nonzero().squeeze(1)  # (b,) the videos that have not converged yet
    s = similarity[running]  # (b, T, T), as are both messages
    responsibility = torch.zeros_like(s)
    availability = torch.zeros_like(s)
    streak = torch.zeros_like(running)  # updates since the exemplars last changed
    for iteration in range(max_iterations):
        if not len(running):
            break
        (first, second), (best, _) = (x.unbind(2) for x in (availability + s).topk(2, dim=2))
        rival = first[:, :, None].expand_as(s).scatter(2, best[:, :, None], second[:, :, None])
        responsibility = damping * responsibility + (1 - damping) * (s - rival)

        support = responsibility.clamp(min=0)
        _diagonal(support).copy_(_diagonal(responsibility))
        update = support.sum(dim=1, keepdim=True) - support
        own = _diagonal(update).clone()
        _diagonal(update.clamp_(max=0)).copy_(own)
        availability = damping * availability + (1 - damping) * update

        current = _diagonal(responsibility) + _diagonal(availability) > 0  # (b, T)
        same = (current == chosen[running]).all(dim=1)
        streak = torch.where(same, streak + 1, 1)
        chosen[running] = current
        if iteration >= convergence_iterations:
            going = (streak < convergence_iterations) | ~current.any(dim=1)
            if not going.all():
                running, s, streak = running[going], s[going], streak[going]
                responsibility, availability = responsibility[going], availability[going]
    return chosen


def _diagonal(messages: Tensor) -> Tensor:
    """The diagonals (B, T) of messages (B, T, T), as a view."""
    return messages.diagonal(dim1=1, dim2=2)


def _assign(similarity: Tensor, chosen: Tensor) -> Tensor:
    """The most similar exemplar of each frame (B, T). An exemplar is its own."""
    nearest = similarity.masked_fill(~chosen[:, None], -torch.inf).argmax(dim=2)
    frames = torch.arange(chosen.shape[1], device=chosen.device)
    return torch.where(chosen, frames, nearest)


def _refine(similarity: Tensor, exemplars: Tensor) -> Tensor:
    """Move each scene's exemplar to the frame most similar to all of the scene: (B, T) bool."""
    together = exemplars[:, :, None] == exemplars[:, None]  # (B, T, T)
    score = (similarity * together).sum(dim=1)  # (B, T) of each frame in its own scene
    winner = score[:, None].masked_fill(~together, -torch.inf).argmax(dim=2)  # (B, T)
    frames = torch.arange(exemplars.shape[1], device=exemplars.device)
    return winner == frames

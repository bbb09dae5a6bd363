"""Reconstruction of masked frames (masked autoencoders, He et al., CVPR 2022, arXiv 2111.06377)."""

from torch import Tensor


def masked_reconstruction(predicted: Tensor, target: Tensor, masked: Tensor) -> Tensor:
    """Mean squared error over the features of masked frames; visible frames do not count.

    Args:
        predicted: (B, T, F) reconstructed features.
        target: (B, T, F) true features.
        masked: (B, T) bool, True where the encoder did not see the frame.

    Returns:
        () mean over masked frames and their F features; 0 if no frame is masked.

    Raises:
        ValueError: the shapes do not agree.
    """
    if predicted.ndim != 3 or predicted.shape != target.shape or masked.shape != target.shape[:2]:
        raise ValueError(
            f"predicted and target must be (B, T, F) and masked (B, T), "
            f"not {tuple(predicted.shape)}, {tuple(target.shape)}, {tuple(masked.shape)}"
        )
    error = (predicted - target).square().mean(dim=2)  # (B, T)
    return (error * masked).sum() / masked.sum().clamp(min=1)

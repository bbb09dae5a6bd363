"""Real-valued codes of every clip of a data set."""

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from chain.methods.base import Method
from chain.views.store import FeatureStore


@torch.inference_mode()
def encode_store(
    model: Method, store: FeatureStore, device: torch.device, batch: int = 256
) -> NDArray[np.float32]:
    """Codes (N, b) of all clips before the sign, in the order of the store's index."""
    model.to(device).eval()
    frames = store.encoded_frames(model.frames)
    parts = []
    for start in tqdm(range(0, len(store.clean), batch), unit="batch", desc="encode"):
        features = torch.from_numpy(store.clean[start : start + batch][:, frames]).float()
        parts.append(model.encode(features.to(device)).float().cpu().numpy())
    return np.concatenate(parts)

"""How well a trained CHAIN tells the order of frames."""

import numpy as np
import torch
from numpy.typing import NDArray

from chain.methods.chain import Chain
from chain.views.store import FeatureStore

BATCH = 256


@torch.inference_mode()
def order_counts(
    model: Chain, store: FeatureStore, clips: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Count how often CHAIN puts a frame of each true position at each position.

    `clips` (M,) are rows of the store; their clean frames are shuffled with `seed`. Returns the
    counts (T, T), with a row for each true position and a column for each predicted one.
    """
    model.eval()
    device = next(model.parameters()).device
    frames = store.encoded_frames(model.frames)
    random = np.random.default_rng(seed)
    counts = np.zeros((model.frames, model.frames), dtype=np.int64)
    for start in range(0, len(clips), BATCH):
        chosen = clips[start : start + BATCH]
        shuffle = random.random((len(chosen), model.frames)).argsort(axis=1)
        features = torch.from_numpy(store.clean[chosen][:, frames]).float().to(device)
        logits = model.order_logits(features, torch.from_numpy(shuffle).to(device))
        np.add.at(counts, (shuffle, logits.argmax(dim=2).cpu().numpy()), 1)
    return counts

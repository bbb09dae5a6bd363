"""What a trained CHAIN makes of the order of frames."""

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
    """How often a frame at each true position (rows) is put at each position (columns): (T, T).

    The clean frames of `clips`, rows of the store, are shuffled with `seed`.
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

"""What CHAIN's two local tasks learn: the scenes of a few clips, and the order of frames."""

from pathlib import Path

import numpy as np

from chain.analysis.order import order_counts
from chain.core.files import replacing
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.demo import ORDER_ONLY
from chain.datasets.manifest import Roles, has_labels, select
from chain.figures.order_confusion import order_confusion
from chain.figures.retrieval_examples import choose_queries
from chain.figures.scenes import scene_strips
from chain.figures.style import save
from chain.methods.chain import Chain
from chain.methods.saved_models import load_method
from chain.scenes.clustering import cluster_scenes
from chain.video.pack import read_frames
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, parsed, run


def local_tasks(dataset: str, bits: int) -> str:
    figures, seed = parameters("figures", "seed")
    roles = parsed(Roles, "roles", dataset)
    set_up(parsed(RuntimeConfig, "runtime"), training=True)
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    model = load_method(ARTIFACTS / "models" / dataset / f"chain_{bits}" / f"seed_{seed}.pt")
    assert isinstance(model, Chain)
    clips = select(store.index, roles.query or roles.train)
    labels = store.index["labels"].to_numpy()
    paired = np.isin(labels[clips], ORDER_ONLY)
    groups = {"pairs that differ in order only": clips[paired], "other clips": clips[~paired]}
    counts = {
        name: order_counts(model, store, group, seed)
        for name, group in groups.items()
        if len(group)
    }
    shown = choose_queries(store.index, clips, figures["queries"], figures["seed"])
    names = [labels[row] if has_labels(store.index) else store.index["id"][row] for row in shown]
    scenes = cluster_scenes(store.clean[:, None], np.array(shown), model.config.scene)[:, 0]
    packed = ARTIFACTS / "frames" / dataset / "frames.npy"
    with replacing(Path("plots/local_tasks")) as out:
        out.mkdir()
        save(order_confusion(counts), out / "order.png")
        if packed.exists():  # ready-made features have no frames to show
            frames = read_frames(packed, len(store.index))[shown]
            save(scene_strips(frames, scenes, names), out / "scenes.png")
    return f"local_tasks: {dataset}, {len(clips)} clips; plots/local_tasks"


if __name__ == "__main__":
    run(local_tasks, "dataset", "bits")

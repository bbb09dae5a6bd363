"""Update a hasher by clips that came since its codes were stored (not a pipeline stage)."""

from pathlib import Path

from chain.hasher.hasher import Hasher
from chain.hasher.update import stored_codes, update
from chain.views.store import FeatureStore
from stages.common import run


def update_hasher(hasher: str, features: str, codes: str, out: str) -> str:
    old = Hasher.load(hasher)
    folder = Path(features)
    store = FeatureStore.open(folder)
    stored = stored_codes(Path(codes), old.about.trained_on.seed, old.bits)
    about = update(old, store, stored, folder.name, Path(out))
    return f"update: hasher {about.id} in {out} goes on from {old.id}; {codes} stays valid"


if __name__ == "__main__":
    run(update_hasher, "hasher", "features", "codes", "out")

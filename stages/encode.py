"""Hash codes of every clip."""

from chain.core.files import by_seed, replacing, write_json
from chain.core.params import parse
from chain.core.runtime import RuntimeConfig, set_up
from chain.methods.saved_models import load_method
from chain.retrieval.codes import code_statistics, pack, save_codes
from chain.training.encode import encode_store
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parameters, run


def encode(dataset: str, method: str, bits: int) -> str:
    (runtime,) = parameters("runtime")
    device = set_up(parse(RuntimeConfig, runtime, "runtime"))
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    models = by_seed(ARTIFACTS / "models" / dataset / f"{method}_{bits}", ".pt")
    statistics = {}
    with replacing(ARTIFACTS / "codes" / dataset / f"{method}_{bits}") as out:
        out.mkdir()
        for seed, weights in models.items():
            codes = pack(encode_store(load_method(weights), store, device))
            save_codes(out / f"seed_{seed}.npz", store.index["id"].tolist(), codes)
            statistics[f"seed_{seed}"] = code_statistics(codes)
        write_json(out / "statistics.json", statistics)
    return f"encode: {len(store.index)} codes of {bits} bits by {method} on {dataset}"


if __name__ == "__main__":
    run(encode, "dataset", "method", "bits")

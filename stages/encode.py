"""Hash codes of every clip."""

from chain.codes import code_statistics, pack, save_codes
from chain.features.store import FeatureStore
from chain.files import replacing, write_json
from chain.methods import load_method, method_config
from chain.params import parse
from chain.runtime import RuntimeConfig, set_up
from chain.training.encode import encode_store
from stages.common import ARTIFACTS, parameters, run


def encode(dataset: str, method: str, bits: int) -> str:
    shared, own, published, seed, repeats, runtime = parameters(
        f"data.{dataset}.methods.all",
        f"data.{dataset}.methods.{method}",
        f"methods.{method}",
        "seed",
        "repeats",
        "runtime",
    )
    config = method_config(method, published, shared, own)
    device = set_up(parse(RuntimeConfig, runtime, "runtime"))
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    models = ARTIFACTS / "models" / dataset / f"{method}_{bits}"
    statistics = {}
    with replacing(ARTIFACTS / "codes" / dataset / f"{method}_{bits}") as out:
        out.mkdir()
        for number in range(seed, seed + repeats):
            model = load_method(method, config, store.width, bits, models / f"seed_{number}.pt")
            codes = pack(encode_store(model, store, device))
            save_codes(out / f"seed_{number}.npz", store.index["id"].tolist(), codes)
            statistics[f"seed_{number}"] = code_statistics(codes)
        write_json(out / "statistics.json", statistics)
    return f"encode: {len(store.index)} codes of {bits} bits by {method} on {dataset}"


if __name__ == "__main__":
    run(encode, "dataset", "method", "bits")

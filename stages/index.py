"""The search index of the database's codes."""

from chain.datasets.manifest import Roles, read_index
from chain.retrieval.codes import load_codes
from chain.search.index import Index, SearchConfig, build, database_codes, origin, save
from stages.common import ARTIFACTS, parameters, parsed, run


def index(dataset: str, method: str, bits: int) -> str:
    (seed,) = parameters("seed")
    config, roles = parsed(SearchConfig, "search"), parsed(Roles, "roles", dataset)
    cell = f"{method}_{bits}"
    out = ARTIFACTS / "indexes" / dataset / cell
    made = origin(
        dataset,
        method,
        bits,
        seed,
        ARTIFACTS / "models" / dataset / cell / f"seed_{seed}.pt",
        ARTIFACTS / "backbones" / f"{dataset}.pt",
    )
    clips = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    everything = load_codes(ARTIFACTS / "codes" / dataset / cell, seed, clips, bits)
    codes = database_codes(everything, clips, roles.database)
    save(out, Index(build(codes.codes, config), codes.ids, made))
    return f"index: {len(codes.ids)} codes of {bits} bits in {out}"


if __name__ == "__main__":
    run(index, "dataset", "method", "bits")

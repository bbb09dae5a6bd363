"""Export the headline's codes, of all clips, to a LanceDB table (not a pipeline stage)."""

from pathlib import Path

from chain.datasets.manifest import read_index, read_manifest
from chain.retrieval.codes import load_codes
from chain.search.lancedb_table import create
from stages.common import ARTIFACTS, parameters, run


def export_codes(folder: str) -> str:
    (dataset, *_), method, bits, seed = parameters("datasets", "method", "bits", "seed")
    cell = f"{method}_{bits}"
    clips = read_manifest(ARTIFACTS / "clips" / dataset / "manifest.csv")
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    codes = load_codes(ARTIFACTS / "codes" / dataset / cell, seed, index, bits)
    name = f"{dataset}_{cell}"
    create(Path(folder), name, codes, clips)
    return f"export_codes: {len(codes.ids)} codes of {bits} bits in table {name} of {folder}"


if __name__ == "__main__":
    run(export_codes, "folder")

"""Write one file of every kind that the pipeline writes: `python every_output.py <folder>`."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.lib.format import open_memmap
from torch import nn

from chain.core.files import replacing, write_csv, write_json
from chain.datasets.demo import DemoConfig, render
from chain.figures.style import house_style, save
from chain.retrieval.codes import save_codes
from chain.search import index
from chain.search.index import HNSWConfig, IVFConfig, MultiHashConfig, SearchConfig

CLIPS = 300


def write(folder: Path) -> None:
    """Write all files to a new folder."""
    folder.mkdir()
    random = np.random.default_rng(0)
    arrays(folder, random)
    tables(folder, random)
    weights(folder)
    codes_and_indexes(folder, random)
    figure(folder, random)
    render(DemoConfig(clips_per_category=6, size=32, fps=4, seed=0), folder / "demo", workers=1)


def arrays(folder: Path, random: np.random.Generator) -> None:
    np.save(folder / "train.npy", random.permutation(CLIPS))
    shape = (CLIPS, 4, 8)
    mapped = open_memmap(folder / "clean.npy", "w+", np.dtype(np.float16), shape)
    mapped[:] = random.normal(size=shape)
    mapped.flush()


def tables(folder: Path, random: np.random.Generator) -> None:
    columns = {"id": ["a/001", "NA", 'é, "x"'], "k": [5, 20, 100], "map": random.random(3) / 7}
    write_csv(folder / "map.csv", pd.DataFrame(columns | {"loss": [1e-12, 3e20, 0.1]}))
    write_json(folder / "metrics.json", {"map": random.random(3).tolist(), "name": "é", "n": None})


def weights(folder: Path) -> None:
    """A network's weights as stages/train.py writes them, and as stages/pretrain.py does."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    network = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), layer)
    network.register_buffer("planes", torch.randn(8, 16, dtype=torch.float64))
    with replacing(folder / "models") as out:
        out.mkdir()
        torch.save(network.state_dict(), out / "seed_0.pt")
    buffer = BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in network.state_dict().items()}, buffer)
    with replacing(folder / "backbone.pt") as temporary:
        temporary.write_bytes(buffer.getvalue())


def codes_and_indexes(folder: Path, random: np.random.Generator) -> None:
    ids = [f"clip-é/{number:03}" for number in range(CLIPS)]
    packed = random.integers(0, 256, (CLIPS, 8), dtype=np.uint8)
    save_codes(folder / "codes", ids, {0: packed, 1: packed[::-1]})
    names = {"dataset": "demo", "method": "chain", "weights": "0", "backbone": "0"}
    origin = index.Origin(bits=64, seed=0, **names)
    for kind, flat_up_to in (("flat", CLIPS), ("hnsw", 0), ("ivf", 0), ("multihash", 0)):
        config = SearchConfig(
            flat_up_to=flat_up_to,
            kind="hnsw" if kind == "flat" else kind,  # type: ignore[arg-type]
            hnsw=HNSWConfig(links=8, breadth=16),
            ivf=IVFConfig(lists=4, probes=2),
            multihash=MultiHashConfig(tables=4, flips=1),
        )
        built = index.build(packed, config)
        index.save(folder / "indexes" / kind, index.Index(built, np.array(ids), origin))


@house_style()
def figure(folder: Path, random: np.random.Generator) -> None:
    drawing = Figure((6, 3), layout="constrained")
    lines, image = drawing.subplots(1, 2)
    lines.plot(random.random(20), label="CHAIN")
    lines.set(title="mAP@K", xlabel="é $K$", ylabel="strict")
    lines.legend()
    image.imshow(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    save(drawing, folder / "figure.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

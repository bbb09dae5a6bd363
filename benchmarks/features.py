"""Features of frames: chain.features against the bare CNN, and what each part of the stage costs.

First table: `FeatureExtractor` on the frames of a clip, `clean` and `augmented`, and the CNN alone
on random tensors that have the size, layout (channels last) and precision (fp32) it gives them;
then the same with the usual layout, and in bf16. `× ours` is how many times as long as `clean` each
takes. `difference` is the largest of a feature from that of usual layout and fp32, as a share of
the largest feature. MiB are above the libraries that all load.

Second table: a training clip's way through `decode` (7 seconds, 320 × 240), the conversion and
augmentation of its frames (once clean, and so many views) and the CNN.

One thread unless told: several wait for each other wherever a core is busy with something else.
Weights are random; batch norms have seen four images, so that features are neither 0 nor infinite.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Measured, Way, Work, alternate, write_clip
from chain import params
from chain.features.augment import AugmentConfig, apply, resize, to_images
from chain.features.backbone import Backbone, BackboneConfig
from chain.features.bank import FeatureExtractor, view_augmentations
from chain.video.decode import read_clip

PARAMS = Path(__file__).parents[1] / "params.yaml"
CPU = torch.device("cpu")
PARTS = ("decode", "augment", "CNN")
OURS, ALONE, STAGES = ("clean", "augmented"), "CNN alone", "stages"
ROUNDS = 3  # of the quick form


@dataclass(frozen=True)
class Case:
    """A network, and the clips it sees."""

    network: str
    size: int
    """Side of its input, pixels."""
    stored: int
    """Side of a decoded frame, pixels."""
    frames: int
    views: int

    def __str__(self) -> str:
        return f"{self.network}, {self.size} px"


CASES = [Case("mobilenet_v3_small", 112, 128, 16, 4), Case("resnet50", 224, 256, 32, 4)]
QUICK = [Case("mobilenet_v3_small", 112, 128, 16, 4), Case("resnet50", 224, 256, 2, 1)]


def backbone(case: Case) -> Backbone:
    torch.manual_seed(0)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    network = Backbone(
        BackboneConfig(name=case.network, weights="pretrain", size=case.size, mean=mean, std=std)
    )
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(4, 3, case.size, case.size))
    return network.eval().requires_grad_(False)


def extractor(case: Case, threads: int, augmented: bool) -> Work:
    torch.set_num_threads(threads)
    extract = FeatureExtractor(backbone(case), case.size, CPU)
    frames = np.random.default_rng(0).integers(
        0, 256, (case.frames, case.stored, case.stored, 3), dtype=np.uint8
    )
    if not augmented:
        return lambda: extract(frames)
    drawn = view_augmentations(0, 1, case.frames, "consistent", augment_config(), 0)
    return lambda: extract(frames, drawn)


def bare(case: Case, threads: int, layout: torch.memory_format, precision: torch.dtype) -> Work:
    torch.set_num_threads(threads)
    network = backbone(case).network.to(precision, memory_format=layout)  # type: ignore[call-overload]
    images = torch.rand(
        case.frames, 3, case.size, case.size, generator=torch.Generator().manual_seed(0)
    ).to(precision, memory_format=layout)

    @torch.inference_mode()
    def work() -> Any:
        features: Tensor = network(images)
        return features.float().numpy()

    return work


def stages(case: Case, threads: int, clip: Path) -> Work:
    """One training clip; returns the seconds of each of PARTS."""
    torch.set_num_threads(threads)
    network, config = backbone(case), augment_config()
    drawn = view_augmentations(0, case.views, case.frames, "consistent", config, 0)

    @torch.inference_mode()
    def work() -> dict[str, float]:
        spent = dict.fromkeys(PARTS, 0.0)
        frames = timed(spent, "decode", lambda: read_clip(clip, case.frames, case.stored).images)
        clean = timed(spent, "augment", lambda: resize(to_images(frames), case.size))
        timed(spent, "CNN", lambda: network(clean))
        every = np.tile(frames, (case.views, 1, 1, 1))
        views = timed(spent, "augment", lambda: apply(to_images(every), drawn, case.size))
        timed(spent, "CNN", lambda: network(views))
        return spent

    return work


def timed(spent: dict[str, float], part: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    spent[part] += time.perf_counter() - start
    return result


def augment_config() -> AugmentConfig:
    return params.parse(AugmentConfig, params.load(PARAMS)["augment"], "augment")


USUAL, LAST = torch.contiguous_format, torch.channels_last


def ways(case: Case, threads: int, clip: Path) -> dict[str, Way]:
    return {
        "clean": (extractor, (case, threads, False)),
        "augmented": (extractor, (case, threads, True)),
        ALONE: (bare, (case, threads, LAST, torch.float32)),
        "usual layout": (bare, (case, threads, USUAL, torch.float32)),
        "bf16": (bare, (case, threads, LAST, torch.bfloat16)),
        "bf16, usual layout": (bare, (case, threads, USUAL, torch.bfloat16)),
        STAGES: (stages, (case, threads, clip)),
    }


def compare(
    case: Case, threads: int, rounds: int, names: Collection[str] = ()
) -> dict[str, Measured]:
    """All ways, or those named."""
    with tempfile.TemporaryDirectory() as name:
        every = ways(case, threads, write_clip(Path(name), "h264", 7, 320, 240))
        return alternate({way: every[way] for way in names or every}, rounds)


def ratios() -> dict[str, float]:
    """How many times as fast as the CNN alone the extractor is; quick form."""
    found = {}
    for case in QUICK:
        measured = compare(case, 1, ROUNDS, [*OURS, ALONE])
        for way in OURS:
            found[f"{case.network} {way}"] = measured[ALONE].times(measured[way])
    return found


def differences(measured: dict[str, Measured]) -> dict[str, str]:
    """Of the bare CNNs, which all see the same images."""
    reference = measured["usual layout"].results[0]
    return {
        way: f"{np.abs(got.results[0] - reference).max() / np.abs(reference).max():.1e}"
        for way, got in measured.items()
        if way not in (*OURS, STAGES)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few frames")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rounds = ROUNDS if options.quick else options.rounds
    shares = []
    print("| CNN | what | images/s | × ours | difference | MiB |\n|---|---|--:|--:|--:|--:|")
    for case in QUICK if options.quick else CASES:
        measured = compare(case, options.threads, rounds)
        different = differences(measured)
        whole = measured.pop(STAGES)
        for way, got in measured.items():
            print(
                f"| {case} | {way} | {case.frames / got.median:,.1f} "
                f"| {got.times(measured['clean']):.2f} | {different.get(way, '')} "
                f"| {got.peak:.0f} |",
                flush=True,
            )
        parts = [np.median([spent[part] for spent in whole.results]) for part in PARTS]
        percent = " | ".join(f"{part / sum(parts):.0%}" for part in parts)
        shares.append(f"| {case} | {case.frames} | {case.views} | {sum(parts):.2f} | {percent} |")
    print(f"\n| CNN | frames | views | s a clip | {' | '.join(PARTS)} |")
    print("|---|--:|--:|--:|--:|--:|--:|", *shares, sep="\n")


if __name__ == "__main__":
    main()

"""Features of frames: chain.features against the bare CNN, and what each part of the stage costs.

First table: the CNN alone on random tensors of the size, layout (channels last) and precision
(fp32) that `FeatureExtractor` gives it, in the same batches; `FeatureExtractor` on the frames of
clips, each batch prepared and seen by the CNN `in turn`; and `clip_features`, which prepares
`ahead` where that leaves the CNN its cores, else in turn. `clean` is every clip's own frames,
`views` these and so many consistent views. `of CNN` is the throughput as a share of the CNN's on
the same number of threads, and then on the last number of `--threads`. MiB are above the libraries
that all load.

Second table: the CNN alone in other layouts and precisions. `difference` is the largest of a
feature from that of usual layout and fp32, as a share of the largest feature; `cosine` the smallest
of an image.

Third table: a training clip's way through `decode` (7 seconds, 320 × 240), the preparation of its
frames (once clean, and so many views) and the CNN.

Several threads wait for each other wherever a core is busy with something else.
Weights are random; batch norms have seen four images, so that features are neither 0 nor infinite.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import Measured, Work, alternate, write_clip
from chain.backbones.networks import Backbone, BackboneConfig
from chain.core import params
from chain.features.augmentation import Augmentation, AugmentConfig
from chain.features.bank import BankConfig, FeatureExtractor, clip_features, view_augmentations
from chain.video.decode import read_clip

PARAMS = Path(__file__).parents[1] / "params.yaml"
CPU = torch.device("cpu")
PARTS = ("decode", "prepare", "CNN")
CLEAN, VIEWS = "clean", "views"  # the frames of a clip, and these with its views
ALONE, TURNS, AHEAD = "CNN alone", "in turn", "ahead"
USUAL, LAST = torch.contiguous_format, torch.channels_last
REFERENCE, STAGES = "fp32, usual layout", "stages"
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
    clips: int

    def images(self, what: str) -> int:
        """How many images the network sees."""
        return self.clips * self.frames * (1 + self.views * (what == VIEWS))

    def __str__(self) -> str:
        return f"{self.network}, {self.size} px"


CASES = [
    Case("mobilenet_v3_small", 112, 128, frames=16, views=4, clips=4),
    Case("resnet50", 224, 256, frames=8, views=4, clips=2),
    Case("vgg16", 224, 256, frames=4, views=1, clips=2),
]
QUICK = [
    Case("mobilenet_v3_small", 112, 128, frames=16, views=4, clips=3),
    Case("resnet50", 224, 256, frames=2, views=1, clips=2),
]


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


def extractor(case: Case, threads: int, device: torch.device = CPU) -> FeatureExtractor:
    torch.set_num_threads(threads)
    return FeatureExtractor(backbone(case), case.size, device)


def clips(case: Case) -> NDArray[np.uint8]:
    shape = (case.clips, case.frames, case.stored, case.stored, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def in_turn(case: Case, threads: int, what: str) -> Work:
    extract, frames, config = extractor(case, threads), clips(case), augment_config()

    def work() -> None:
        for clip, own in enumerate(frames):
            extract(own)
            if what == VIEWS:
                extract(own, draws(case, clip, config))

    return work


def draws(case: Case, clip: int, config: AugmentConfig) -> Augmentation:
    return view_augmentations(str(clip), case.views, case.frames, "consistent", config, 0)


def ahead(case: Case, threads: int, what: str, device: torch.device = CPU) -> Work:
    extract, frames, config = extractor(case, threads, device), clips(case), augment_config()
    bank = BankConfig(views=case.views, seed=0, spatial=["consistent"])
    train = np.arange(case.clips if what == VIEWS else 0)
    ids = [str(clip) for clip in range(case.clips)]

    def work() -> None:
        for _ in clip_features(range(case.clips), extract, frames, ids, train, bank, config):
            pass

    return work


def alone(case: Case, threads: int, what: str) -> Work:
    torch.set_num_threads(threads)
    network = backbone(case).network
    counts = [case.frames, case.views * case.frames] if what == VIEWS else [case.frames]
    batches = [random_images(case, count).to(memory_format=LAST) for count in counts]

    @torch.inference_mode()
    def work() -> None:
        for _ in range(case.clips):
            for batch in batches:
                network(batch)

    return work


def random_images(case: Case, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, case.size, case.size, generator=generator)


def other(
    case: Case,
    threads: int,
    layout: torch.memory_format,
    precision: torch.dtype,
    device: torch.device = CPU,
) -> Work:
    """The CNN alone on one batch; returns its features."""
    torch.set_num_threads(threads)
    network = backbone(case).network.to(device, precision, memory_format=layout)  # type: ignore[call-overload]
    images = random_images(case, case.frames).to(device, precision, memory_format=layout)

    @torch.inference_mode()
    def work() -> Any:
        features: Tensor = network(images)
        return features.float().cpu().numpy()

    return work


def stages(case: Case, threads: int, clip: Path) -> Work:
    """One training clip; returns the seconds of each of PARTS."""
    extract, config = extractor(case, threads), augment_config()

    def work() -> dict[str, float]:
        spent = dict.fromkeys(PARTS, 0.0)
        frames = timed(spent, "decode", lambda: read_clip(clip, case.frames, case.stored).images)
        clean = timed(spent, "prepare", lambda: extract.prepare(frames))
        timed(spent, "CNN", lambda: extract.features(clean))
        views = timed(spent, "prepare", lambda: extract.prepare(frames, draws(case, 0, config)))
        timed(spent, "CNN", lambda: extract.features(views))
        return spent

    return work


def timed(spent: dict[str, float], part: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    spent[part] += time.perf_counter() - start
    return result


def augment_config() -> AugmentConfig:
    return params.parse(AugmentConfig, params.load(PARAMS)["augment"], "augment")


def rivals(
    case: Case, threads: list[int], what: str, rounds: int
) -> dict[int, dict[str, Measured]]:
    """By number of threads and by way; all take turns."""
    ways = {ALONE: alone, TURNS: in_turn, AHEAD: ahead}
    measured = alternate(
        {f"{way} {count}": (ways[way], (case, count, what)) for count in threads for way in ways},
        rounds,
    )
    return {count: {way: measured[f"{way} {count}"] for way in ways} for count in threads}


def others(case: Case, threads: int, rounds: int) -> dict[str, Measured]:
    """The CNN in other layouts and precisions, and the stages."""
    with tempfile.TemporaryDirectory() as name:
        return alternate(
            {
                REFERENCE: (other, (case, threads, USUAL, torch.float32)),
                "fp32": (other, (case, threads, LAST, torch.float32)),
                "bf16, usual layout": (other, (case, threads, USUAL, torch.bfloat16)),
                "bf16": (other, (case, threads, LAST, torch.bfloat16)),
                STAGES: (stages, (case, threads, write_clip(Path(name), "h264", 7, 320, 240))),
            },
            rounds,
        )


def ratios() -> dict[str, float]:
    """How many times as fast as the CNN alone the extractor is; quick form."""
    found = {}
    for case in QUICK:
        for what in (CLEAN, VIEWS):
            measured = rivals(case, [1], what, ROUNDS)[1]
            for way in (TURNS, AHEAD):
                found[f"{case.network} {what} {way}"] = measured[ALONE].times(measured[way])
    return found


def print_throughput(cases: list[Case], threads: list[int], rounds: int) -> None:
    print("| CNN | images | threads | what | images/s | of CNN | ", end="")
    print(f"of CNN on {threads[-1]} | MiB |\n|---|---|--:|---|--:|--:|--:|--:|")
    for case in cases:
        for what in (CLEAN, VIEWS):
            measured = rivals(case, threads, what, rounds)
            most = measured[threads[-1]][ALONE]
            for count, ways in measured.items():
                for way, got in ways.items():
                    print(
                        f"| {case} | {what} | {count} | {way} "
                        f"| {case.images(what) / got.median:,.1f} | {ways[ALONE].times(got):.0%} "
                        f"| {most.times(got):.0%} | {got.peak:.0f} |",
                        flush=True,
                    )


def print_others(cases: list[Case], threads: int, rounds: int) -> None:
    shares = []
    print("\n| CNN | what | images/s | × fp32 | difference | cosine |\n|---|---|--:|--:|--:|--:|")
    for case in cases:
        measured = others(case, threads, rounds)
        whole = measured.pop(STAGES)
        expected = measured[REFERENCE].results[0]
        for way, got in measured.items():
            features = got.results[0]
            print(
                f"| {case} | {way} | {case.frames / got.median:,.1f} "
                f"| {measured['fp32'].times(got):.2f} | {difference(features, expected):.1e} "
                f"| {cosines(features, expected).min():.5f} |",
                flush=True,
            )
        parts = [np.median([spent[part] for spent in whole.results]) for part in PARTS]
        percent = " | ".join(f"{part / sum(parts):.0%}" for part in parts)
        shares.append(f"| {case} | {case.frames} | {case.views} | {sum(parts):.2f} | {percent} |")
    print(f"\n| CNN | frames | views | s a clip | {' | '.join(PARTS)} |")
    print("|---|--:|--:|--:|--:|--:|--:|", *shares, sep="\n")


def difference(features: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest of a feature from the expected one, as a share of the largest of these."""
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> Tensor:
    """Of each row of one with the same row of the other."""
    return torch.cosine_similarity(torch.from_numpy(left), torch.from_numpy(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few frames")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    rounds = ROUNDS if options.quick else options.rounds
    cases = QUICK if options.quick else CASES
    print_throughput(cases, options.threads, rounds)
    print_others(cases, options.threads[0], rounds)


if __name__ == "__main__":
    main()

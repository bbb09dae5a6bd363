"""Fails if ours has become slower against its rivals: exit 1 and one line that says where.

Runs the quick forms of the benchmarks below. A ratio is how many times as fast as its rival ours
is; bounds are half of what was measured on two cores in a calm hour, or a little less.
"""

import sys
from collections.abc import Callable, Mapping

from benchmarks import decode, evaluation, features, search, training

BOUNDS: dict[str, dict[str, float]] = {
    "decode": {  # read_clip against PyAV; pack_frames on two workers against read_clip
        "h264 4 s": 0.5,
        "h264 4 s pack 2": 0.85,
        "h264 40 s": 0.6,
        "h264 40 s pack 2": 0.85,
    },
    "evaluation": {  # in processor seconds, which other jobs hardly touch
        "against usual": 13.0,
        "top 100 against FAISS": 0.5,
        "radius against popcount": 0.12,
    },
    "features": {  # FeatureExtractor and clip_features against the CNN alone
        "mobilenet_v3_small clean in turn": 0.4,
        "mobilenet_v3_small clean ahead": 0.4,
        "mobilenet_v3_small views in turn": 0.4,
        "mobilenet_v3_small views ahead": 0.4,
        "resnet50 clean in turn": 0.45,
        "resnet50 clean ahead": 0.45,
        "resnet50 views in turn": 0.45,
        "resnet50 views ahead": 0.45,
    },
    "search": {  # a query against a bare FAISS flat scan
        "flat": 0.5,
        "ivf": 1.0,
    },
    "training": {  # a step against a plain ConMH step
        "conmh map": 0.45,
        "chain map": 0.2,
    },
}
RATIOS: dict[str, Callable[[], dict[str, float]]] = {
    "decode": decode.ratios,
    "evaluation": evaluation.ratios,
    "features": features.ratios,
    "search": search.ratios,
    "training": training.ratios,
}


def below(ratios: Mapping[str, float], bounds: Mapping[str, float]) -> list[str]:
    """What is below its bound, and by how much."""
    return [
        f"{name} {ratios[name]:.2f} (bound {bound})"
        for name, bound in bounds.items()
        if ratios[name] < bound
    ]


def main() -> None:
    slow = []
    print("| benchmark | ours against its rival | times as fast | bound |\n|---|---|--:|--:|")
    for benchmark, bounds in BOUNDS.items():
        found = RATIOS[benchmark]()
        for name, bound in bounds.items():
            print(f"| {benchmark} | {name} | {found[name]:.2f} | {bound} |", flush=True)
        slow += [f"{benchmark}: {line}" for line in below(found, bounds)]
    if slow:
        sys.exit(f"error: slower than its bound: {'; '.join(slow)}")


if __name__ == "__main__":
    main()

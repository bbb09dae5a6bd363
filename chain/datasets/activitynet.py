"""ActivityNet 1.3 (CVPR 2015): untrimmed videos of 200 activities, as the hashing literature uses.

The root holds `activity_net.v1-3.min.json` and the videos, `videos/[v_]<id>.<video suffix>`.

* A video is used whole, with the labels of all its annotated segments.
* The training subset is the split `train`.
* The validation subset is cut into `query` and `database`. The literature's own draw of 1,000
  queries is not published, so ours comes from a seed.
* The test subset has no labels and is left out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from chain.core.errors import InputError
from chain.core.params import Parameters, Seed
from chain.datasets.manifest import categories_of
from chain.datasets.official_lists import Listed, find_listed, join_labels, official_manifest

ANNOTATIONS = "activity_net.v1-3.min.json"
SPLITS = {"training": "train", "validation": "database", "testing": ""}
PUBLISHED = {"train": 9722, "database": 3758, "query": 1000}
"""The counts of the hashing literature. The annotations name more videos (10,024 for training and
4,926 for validation), but some of them have vanished."""


class ActivityNetConfig(Parameters):
    """Where the data set is, and how the queries are drawn."""

    root: str
    queries: Annotated[int, Field(ge=1)]
    seed: Seed


class _Segment(BaseModel):
    label: str


class _Video(BaseModel):
    subset: Literal["training", "validation", "testing"]
    annotations: list[_Segment]


class _File(BaseModel):
    database: dict[str, _Video]


def index_activitynet(config: ActivityNetConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest, in splits `train`, `database` and `query`.

    Raises InputError if the file of annotations is missing or malformed, if two files are the same
    video, or if none of the videos is there.
    """
    path = root / ANNOTATIONS
    listed: dict[str, Listed] = {}
    for name, video in _read_annotations(path).items():
        split = SPLITS[video.subset]
        labels = join_labels((s.label for s in video.annotations), f"{path}: database.{name}")
        if split and not labels:
            raise InputError(f"{path}: database.{name}: no label, but in {video.subset}")
        listed[name] = Listed(labels, split)
    found = find_listed(root, listed, prefix="v_")
    there = {n: listed[n].labels for n in found.paths if listed[n].split == "database"}
    for name in draw_queries(there, config.queries, config.seed):
        listed[name] = Listed(listed[name].labels, "query")
    return official_manifest(root, listed, found, PUBLISHED, workers)


def draw_queries(labels: Mapping[str, str], count: int, seed: int) -> list[str]:
    """Up to `count` of the videos (id -> labels), in the order of their ids' seeded hashes.

    By this order, a partial copy shares most of its queries with a whole one. Each category keeps
    at least one video in the database, or its queries could not be answered.
    """
    left = Counter(label for text in labels.values() for label in categories_of(text))
    queries: list[str] = []
    for name in sorted(labels, key=lambda n: hashlib.sha256(f"{seed}/{n}".encode()).digest()):
        own = categories_of(labels[name])
        if len(queries) < count and all(left[label] > 1 for label in own):
            queries.append(name)
            left.subtract(own)
    return queries


def _read_annotations(path: Path) -> dict[str, _Video]:
    def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise InputError(f"{path}: {key!r} is there twice")
            values[key] = value
        return values

    try:
        tree = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
        return _File.model_validate(tree).database
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such list") from None
    except InputError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{path}: {key}: {first['msg']}") from None
    except ValueError as error:  # broken JSON or not UTF-8
        raise InputError(f"{path}: not JSON: {error}") from None

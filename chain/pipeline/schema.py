"""The schema of the whole `params.yaml`, and the checks that cross its sections."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chain.analysis.variants import AblationsConfig
from chain.backbones.networks import DeclaredBackbone
from chain.backbones.pretraining import PretrainConfig
from chain.backbones.weights import check_source, resolve
from chain.core.errors import InputError
from chain.core.params import Parameters, parse
from chain.core.runtime import RuntimeConfig, find_device
from chain.datasets import source_config
from chain.datasets.feature_files import ReadyConfig
from chain.datasets.manifest import Roles
from chain.downloads.fetch import DownloadConfig
from chain.features.augmentation import STRENGTHS, AugmentConfig
from chain.features.bank import BankConfig
from chain.methods import METHODS, method_class, method_config
from chain.methods.base import MethodConfig
from chain.retrieval.config import EvaluationConfig
from chain.search.index import SearchConfig
from chain.video.pack import DecodeConfig


def _no_name_twice(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return names


CodeLength = Annotated[int, Field(ge=8, multiple_of=8)]
Seed = Annotated[int, Field(ge=0)]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_no_name_twice)]


class Grid(Parameters):
    """What is compared, at each of the code lengths in `dvc.yaml`."""

    methods: Names


class DataSet(Parameters):
    """One data set: its clips, frames and features, and what it changes in the methods.

    `decode`, `backbone` and `bank` are null for ready-made features, which have no pixels.
    """

    download: bool
    """Whether `downloads` are fetched where they are missing."""
    downloads: dict[str, DownloadConfig]
    source: dict[str, Any]
    roles: Roles
    decode: DecodeConfig | None
    backbone: DeclaredBackbone | None
    bank: BankConfig | None
    methods: dict[str, dict[str, Any]]
    """Overrides of the top-level `methods`: `all` for every method, then one entry a method."""


class FiguresConfig(Parameters):
    """What the figures show."""

    categories: Annotated[int, Field(ge=1)]
    """First categories in the t-SNE."""
    queries: Annotated[int, Field(ge=1)]
    """Queries in the gallery of retrieved clips."""
    k: Annotated[int, Field(ge=1)]
    """K of the figure of mAP@K against the code length; one of `evaluation.topk`."""
    seed: Seed


class Experiment(Parameters):
    """`params.yaml`."""

    dataset: str
    method: str
    bits: CodeLength
    seed: Seed
    repeats: Annotated[int, Field(ge=1)]
    datasets: Names
    grid: Grid
    data: dict[str, DataSet]
    augment: AugmentConfig
    pretrain: PretrainConfig
    methods: dict[str, dict[str, Any]]
    evaluation: EvaluationConfig
    ablations: AblationsConfig
    figures: FiguresConfig
    search: SearchConfig
    runtime: RuntimeConfig


def check_experiment(tree: dict[str, Any]) -> Experiment:
    """The whole tree, checked; InputError with one line naming the first key at fault."""
    experiment = parse(Experiment, tree, "")
    _known("dataset", experiment.dataset, experiment.datasets, "not among datasets")
    method_class(experiment.method)
    _known("method", experiment.method, experiment.grid.methods, "not among grid.methods")
    _known("grid.methods", "chain", experiment.grid.methods, "has to be among them")
    find_device(experiment.runtime)
    topk = experiment.evaluation.topk
    if experiment.figures.k not in topk:
        raise InputError(f"params.yaml: figures.k: {experiment.figures.k} is not among {topk}")
    for name in experiment.datasets:
        _known("datasets", name, experiment.data, "not described under data")
        _check_source(experiment, name)
        for method in experiment.grid.methods:
            _check_method(experiment, name, method, {}, "")
    for name in experiment.ablations.datasets:
        _known("ablations.datasets", name, experiment.datasets, "not among datasets")
        for table in experiment.ablations.tables:
            _known(
                "ablations.tables", table, experiment.ablations.chain, "not under ablations.chain"
            )
            for variant, changed in experiment.ablations.chain[table].root.items():
                place = f"ablations.chain.{table}.{variant}"
                _check_method(experiment, name, "chain", changed, place)
        for table, variants in experiment.ablations.chain_plus.items():
            for variant, changed in variants.root.items():
                place = f"ablations.chain_plus.{table}.{variant}"
                _check_method(experiment, name, "chain_plus", changed, place)
    return experiment


def _check_source(experiment: Experiment, name: str) -> None:
    data = experiment.data[name]
    ready = isinstance(source_config(data.source, f"data.{name}.source"), ReadyConfig)
    for key in ("decode", "backbone", "bank"):
        if (getattr(data, key) is None) != ready:
            state = "has to be null" if ready else "null"
            source = "ready-made features (source.kind: features)"
            reason = f"{source} have no pixels" if ready else f"only {source} do without it"
            raise InputError(f"params.yaml: data.{name}.{key}: {state}: {reason}")
    for kind in data.bank.spatial if data.bank else ():
        experiment.augment.scaled(STRENGTHS[kind])
    if data.backbone:
        check_source(data.backbone, f"params.yaml: data.{name}.backbone")
        resolve(data.backbone, f"data.{name}.backbone")
    for method in data.methods:
        _known(f"data.{name}.methods", method, ["all", *METHODS], "is no method")


def _check_method(
    experiment: Experiment, name: str, method: str, changed: dict[str, Any], place: str
) -> None:
    """Check `method` on data set `name`, as an ablation (at key `place`) has `changed` it."""
    method_class(method)
    data = experiment.data[name]
    _known("methods", method, experiment.methods, "has no parameters")
    for key in ("all", method):
        _known(f"data.{name}.methods", key, data.methods, "missing (an empty mapping will do)")
    layers = {
        f"methods.{method}": experiment.methods[method],
        f"data.{name}.methods.all": data.methods["all"],
        f"data.{name}.methods.{method}": data.methods[method],
        place: changed,
    }
    config = _layered(method, layers)
    key, stored = _stored_frames(data)
    if config.frames > stored:
        raise InputError(
            f"params.yaml: methods.{method}.frames: {config.frames} is more than the "
            f"{stored} of data.{name}.{key}"
        )
    spatial = getattr(config, "spatial", "none")
    if spatial in ("none", "feature"):  # made from the clean features
        return
    if data.bank is None:
        remedy = f"set data.{name}.methods.{method}.spatial to 'feature' or 'none'"
        raise InputError(
            f"params.yaml: methods.{method}.spatial: {spatial!r} needs pixels, which ready-made "
            f"features lack; {'leave out this ablation' if 'spatial' in changed else remedy}"
        )
    if spatial not in data.bank.spatial:
        raise InputError(
            f"params.yaml: methods.{method}.spatial: {spatial!r} is not among "
            f"data.{name}.bank.spatial"
        )


def _layered(method: str, layers: Mapping[str, Mapping[str, Any]]) -> MethodConfig:
    """The parameters of a method; an error names the layer (by key) with which it arises."""
    trees = list(layers.values())
    try:
        return method_config(method, *trees)
    except InputError as error:
        for count, key in enumerate(layers, start=1):
            try:
                method_config(method, *trees[:count])
            except InputError as partial:
                if str(partial) == str(error):
                    message = str(error).replace(f"methods.{method}", key, 1)
                    raise InputError(message) from None
        raise


def _stored_frames(data: DataSet) -> tuple[str, int]:
    """The key that says how many frames of a clip are stored, and how many."""
    if data.decode is None:
        return "source.frames", data.source["frames"]
    return "decode.frames", data.decode.frames


def _known(key: str, value: str, known: Any, otherwise: str) -> None:
    if value not in known:
        listed = ", ".join(known)
        raise InputError(f"params.yaml: {key}: {value!r} {otherwise} (there: {listed})")

"""The schema of the whole `params.yaml`, and the checks that cross its sections."""

from typing import Annotated, Any

from pydantic import Field

from chain.ablations import AblationsConfig
from chain.datasets import source_config
from chain.datasets.manifest import Roles
from chain.errors import InputError
from chain.features.augment import STRENGTHS, AugmentConfig
from chain.features.backbone import BackboneConfig
from chain.features.bank import BankConfig
from chain.features.pretrain import PretrainConfig
from chain.methods import method_class, method_config
from chain.params import Parameters, parse
from chain.retrieval.config import EvaluationConfig
from chain.runtime import RuntimeConfig
from chain.video.pack import DecodeConfig

CodeLength = Annotated[int, Field(ge=8, multiple_of=8)]
Seed = Annotated[int, Field(ge=0)]


class Grid(Parameters):
    """What is compared, at each of the code lengths in `dvc.yaml`."""

    methods: Annotated[list[str], Field(min_length=1)]


class DataSet(Parameters):
    """One data set: its clips, frames and features, and what it changes in the methods."""

    source: dict[str, Any]
    roles: Roles
    decode: DecodeConfig
    backbone: BackboneConfig
    bank: BankConfig
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
    datasets: Annotated[list[str], Field(min_length=1)]
    grid: Grid
    data: dict[str, DataSet]
    augment: AugmentConfig
    pretrain: PretrainConfig
    methods: dict[str, dict[str, Any]]
    evaluation: EvaluationConfig
    ablations: AblationsConfig
    figures: FiguresConfig
    runtime: RuntimeConfig


def check_experiment(tree: dict[str, Any]) -> Experiment:
    """The whole tree, checked; InputError with one line naming the first key at fault."""
    experiment = parse(Experiment, tree, "")
    _known("dataset", experiment.dataset, experiment.datasets, "not among datasets")
    method_class(experiment.method)
    _known("method", experiment.method, experiment.grid.methods, "not among grid.methods")
    _known("grid.methods", "chain", experiment.grid.methods, "has to be among them")
    topk = experiment.evaluation.topk
    if experiment.figures.k not in topk:
        raise InputError(f"params.yaml: figures.k: {experiment.figures.k} is not among {topk}")
    for name in experiment.datasets:
        _known("datasets", name, experiment.data, "not described under data")
        source_config(experiment.data[name].source, f"data.{name}.source")
        for kind in experiment.data[name].bank.spatial:
            experiment.augment.scaled(STRENGTHS[kind])
        for method in experiment.grid.methods:
            _check_method(experiment, name, method, {})
    for name in experiment.ablations.datasets:
        _known("ablations.datasets", name, experiment.datasets, "not among datasets")
        for table in experiment.ablations.tables:
            _known(
                "ablations.tables", table, experiment.ablations.chain, "not under ablations.chain"
            )
            for changed in experiment.ablations.chain[table].root.values():
                _check_method(experiment, name, "chain", changed)
        for variants in experiment.ablations.chain_plus.values():
            for changed in variants.root.values():
                _check_method(experiment, name, "chain_plus", changed)
    return experiment


def _check_method(experiment: Experiment, name: str, method: str, changed: dict[str, Any]) -> None:
    method_class(method)
    data = experiment.data[name]
    _known("methods", method, experiment.methods, "has no parameters")
    for key in ("all", method):
        _known(f"data.{name}.methods", key, data.methods, "missing (an empty mapping will do)")
    config = method_config(
        method, experiment.methods[method], data.methods["all"], data.methods[method], changed
    )
    if config.frames > data.decode.frames:
        raise InputError(
            f"params.yaml: methods.{method}.frames: {config.frames} is more than the "
            f"{data.decode.frames} of data.{name}.decode.frames"
        )
    spatial = getattr(config, "spatial", "none")
    if spatial != "none" and spatial not in data.bank.spatial:
        raise InputError(
            f"params.yaml: methods.{method}.spatial: {spatial!r} is not among "
            f"data.{name}.bank.spatial"
        )


def _known(key: str, value: str, known: Any, otherwise: str) -> None:
    if value not in known:
        listed = ", ".join(known)
        raise InputError(f"params.yaml: {key}: {value!r} {otherwise} (there: {listed})")

"""The schema of `params.yaml` and of a data set's profile, and checks that cross their parts."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, RootModel, model_validator

from chain.backbones.networks import DeclaredBackbone
from chain.backbones.pretraining import PretrainConfig
from chain.backbones.weights import check_source, resolve
from chain.core.errors import InputError
from chain.core.params import PARAMS, Parameters, Seed, parse, profile_path
from chain.core.runtime import RuntimeConfig, find_device
from chain.datasets.manifest import Roles
from chain.datasets.sources import has_feature_files, source_config
from chain.features.augmentation import STRENGTHS, AugmentConfig
from chain.features.bank import BankConfig
from chain.methods import method_class
from chain.methods.base import MethodConfig
from chain.pipeline.layers import Layer, Layers
from chain.pipeline.recipes import UNCHANGED
from chain.retrieval.config import EvaluationConfig
from chain.search.index import SearchConfig
from chain.video.pack import DecodeConfig


def _no_name_twice(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return names


def _is_name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_-]*", text):
        raise ValueError("a name has only letters (a to z), digits, _ and -, and no - in front")
    return text


CodeLength = Annotated[int, Field(ge=8, multiple_of=8)]
Name = Annotated[str, AfterValidator(_is_name)]
"""It becomes a part of file names, of commands and of tables."""
Names = Annotated[list[Name], AfterValidator(_no_name_twice)]
SomeNames = Annotated[Names, Field(min_length=1)]


class Grid(Parameters):
    """What is compared, at each of the code lengths in `dvc.yaml`."""

    methods: SomeNames


class FiguresConfig(Parameters):
    """What the figures show."""

    categories: Annotated[int, Field(ge=1)]
    """First categories in the t-SNE."""
    queries: Annotated[int, Field(ge=1)]
    """Queries in the gallery of retrieved clips."""
    k: Annotated[int, Field(ge=1)]
    """K of the figure of mAP@K against the code length; one of `evaluation.topk`."""
    seed: Seed


class Variants(RootModel[dict[Name, dict[str, Any]]]):
    """One table of ablations: the changes of a method's parameters by the name of the variant."""

    @model_validator(mode="after")
    def _default_is_the_unchanged_method(self) -> Self:
        if UNCHANGED in self.root:
            raise ValueError(
                f"{UNCHANGED} is the method without a change; give the variant another name"
            )
        return self


class AblationsConfig(Parameters):
    """Tables of variants, each of one method."""

    tables: Names
    """Those that are made, by their names in `variants`."""
    variants: dict[str, dict[Name, Variants]]
    """Method -> table -> variants; no two tables have the same name."""

    @model_validator(mode="after")
    def _no_table_twice(self) -> Self:
        _no_name_twice([table for tables in self.variants.values() for table in tables])
        return self

    def method_of(self, table: str) -> str:
        """The method that a table is of; InputError if there is no such table."""
        for method, tables in self.variants.items():
            if table in tables:
                return method
        known = [table for tables in self.variants.values() for table in tables]
        raise InputError(
            f"{PARAMS}: ablations.tables: {table!r} is not under ablations.variants "
            f"(there: {', '.join(known)})"
        )


class Experiment(Parameters):
    """`params.yaml`."""

    datasets: SomeNames
    """The data sets that the tables show; the first is the headline's."""
    method: Name
    bits: CodeLength
    seed: Seed
    repeats: Annotated[int, Field(ge=1)]
    grid: Grid
    evaluation: EvaluationConfig
    figures: FiguresConfig
    runtime: RuntimeConfig
    methods: dict[str, dict[str, Any]]
    ablations: AblationsConfig
    augment: AugmentConfig
    pretrain: PretrainConfig
    search: SearchConfig


class Profile(Parameters):
    """`params/<data set>.yaml`: clips, frames, features, and what the data set changes in methods.

    `decode`, `backbone` and `bank` are null for ready-made features, which have no pixels.
    """

    source: dict[str, Any]
    roles: Roles
    decode: DecodeConfig | None
    backbone: DeclaredBackbone | None
    bank: BankConfig | None
    methods: dict[str, dict[str, Any]]
    """Overrides of `methods` in `params.yaml`, by method; `all` is for each that has such keys."""


class Checked:
    """The parameters of a run, which have passed every check.

    `experiment` is `params.yaml`, and `profiles` holds the profile of each data set that it names.
    InputError names the first file and key at fault in one line.
    """

    def __init__(
        self, tree: Mapping[str, Any], load_profile: Callable[[str], Mapping[str, Any]]
    ) -> None:
        self.experiment = experiment = parse(Experiment, tree, "")
        self.profiles = {
            name: parse(Profile, load_profile(name), "", profile_path(name))
            for name in experiment.datasets
        }
        ablations = experiment.ablations
        for name in (experiment.method, *experiment.grid.methods, *ablations.variants):
            method_class(name)
        _known("method", experiment.method, experiment.grid.methods, "not among grid.methods")
        _known("grid.methods", "chain", experiment.grid.methods, "has to be among them")
        if experiment.seed + experiment.repeats > 2**32:
            raise InputError(f"{PARAMS}: repeats: seed + repeats is more than 2**32; lower it")
        find_device(experiment.runtime)
        topk = experiment.evaluation.topk
        if experiment.figures.k not in topk:
            raise InputError(f"{PARAMS}: figures.k: {experiment.figures.k} is not among {topk}")
        for name, profile in self.profiles.items():
            self._check_profile(name, profile)
            self._layers(name).check()
            for method in experiment.grid.methods:
                self.config(name, method)
            for table in ablations.tables:
                self.variants(name, table)
            self._check_other_tables(name)

    def config(self, dataset: str, method: str) -> MethodConfig:
        """The parameters of a method on a data set."""
        config = self._layers(dataset).config(method)
        self._check_frames(dataset, f"methods.{method}", config)
        if missing := self._missing_views(dataset, f"methods.{method}", config):
            raise InputError(missing)
        return config

    def variants(self, dataset: str, table: str) -> tuple[str, dict[str, MethodConfig]]:
        """The method of a table of ablations, and the parameters of each variant on a data set.

        Variants are left out for which the data set has no views, and all variants of a method
        that the grid does not hold.
        """
        method, found = self.experiment.ablations.method_of(table), {}
        for variant, change in self._changes(method, table).items():
            config = self._layers(dataset).config(method, change)
            self._check_frames(dataset, change.key, config)
            missing = self._missing_views(dataset, change.key, config)
            if method in self.experiment.grid.methods and not missing:
                found[variant] = config
        return method, found

    def fits(self, dataset: str, method: str, table: str | None = None) -> dict[str, list[str]]:
        """The keys of the sizes that follow the number of clips, by the variants of a table.

        Without a table, the method itself is the only variant.
        """
        layers = self._layers(dataset)
        if table is None:
            return {UNCHANGED: layers.fits(method)}
        changes = self._changes(method, table)
        return {variant: layers.fits(method, change) for variant, change in changes.items()}

    @property
    def left_out(self) -> list[str]:
        """A line for each data set with ablations that `variants` leaves out."""
        lines = []
        for dataset in self.profiles:
            names = []
            for table in self.experiment.ablations.tables:
                method, kept = self.variants(dataset, table)
                left = (name for name in self._changes(method, table) if name not in kept)
                names += [f"{table}.{name}" for name in left]
            if names:
                lines.append(f"ablations left out on {dataset}: {', '.join(names)}")
        return lines

    def _changes(self, method: str, table: str) -> dict[str, Layer]:
        """What each variant of a table changes in the method's parameters."""
        place = f"ablations.variants.{method}.{table}"
        variants = self.experiment.ablations.variants[method][table].root
        return {name: Layer(tree, f"{place}.{name}") for name, tree in variants.items()}

    def _layers(self, dataset: str) -> Layers:
        profile = self.profiles[dataset]
        return Layers(self.experiment.methods, profile.methods, profile_path(dataset))

    def _check_profile(self, name: str, profile: Profile) -> None:
        file = profile_path(name)
        kind = profile.source.get("kind")
        if not isinstance(kind, str):
            raise InputError(f"{file}: source.kind: not a name ({kind!r})")
        ready = has_feature_files(source_config(profile.source, "source", file))
        for key in ("decode", "backbone", "bank"):
            if (getattr(profile, key) is None) != ready:
                state = "has to be null" if ready else "null"
                source = "ready-made features (source.kind: features)"
                reason = f"{source} have no pixels" if ready else f"only {source} do without it"
                raise InputError(f"{file}: {key}: {state}: {reason}")
        for spatial in profile.bank.spatial if profile.bank else ():
            self.experiment.augment.scaled(STRENGTHS[spatial])
        if profile.backbone:
            check_source(profile.backbone, f"{file}: backbone")
            resolve(profile.backbone, "backbone", file)

    def _check_other_tables(self, dataset: str) -> None:
        for method, tables in self.experiment.ablations.variants.items():
            for table in tables:
                for change in self._changes(method, table).values():
                    self._layers(dataset).check_unused(method, change)

    def _check_frames(self, dataset: str, place: str, config: MethodConfig) -> None:
        profile, file = self.profiles[dataset], profile_path(dataset)
        if profile.decode is None:
            key, stored = "source.frames", profile.source["frames"]
        else:
            key, stored = "decode.frames", profile.decode.frames
        if config.frames > stored:
            raise InputError(
                f"{file}: {key}: {stored} is less than the {config.frames} frames of {place}"
            )
        parts = getattr(config, "parts", 1)
        if parts > stored:
            raise InputError(f"{file}: {key}: {stored} is less than {place}.parts, {parts}")

    def _missing_views(self, dataset: str, place: str, config: MethodConfig) -> str:
        """Why a data set has no views for `config`, which stands at `place`; empty if it has."""
        spatial = getattr(config, "spatial", "none")
        if spatial in ("none", "feature"):  # made from the clean features
            return ""
        bank, file = self.profiles[dataset].bank, profile_path(dataset)
        if bank is None:
            return (
                f"{file}: {place}.spatial: {spatial!r} needs pixels, which ready-made features "
                "lack; set methods.all.spatial to 'feature'"
            )
        if spatial not in bank.spatial:
            return f"{file}: bank.spatial: {spatial!r} is not among them, but {place} asks for it"
        return ""


def _known(key: str, value: str, known: list[str], otherwise: str) -> None:
    if value not in known:
        raise InputError(f"{PARAMS}: {key}: {value!r} {otherwise} (there: {', '.join(known)})")

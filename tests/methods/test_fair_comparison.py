"""What `docs/methods.md` says of each method's training is what the parameters say."""

from collections.abc import Callable

import pytest
from parameter_files import EXPERIMENT, ROOT, profile
from small_methods import LEARNED

from chain.methods.base import MethodConfig, TrainingConfig
from chain.pipeline.layers import Layers
from chain.results.labels import METHOD_LABELS

PROFILES = ["demo", "jhmdb12", "fcvid"]
CUT_DOWN = PROFILES[:2]


def config(dataset: str, method: str) -> MethodConfig:
    return Layers(EXPERIMENT["methods"], profile(dataset)["methods"]).config(method)


def training(config: MethodConfig) -> TrainingConfig:
    assert config.training is not None
    return config.training


def width(config: MethodConfig) -> int:
    tree = config.model_dump()
    found: int = tree["width"] if "width" in tree else tree["encoder"]["width"]
    return found


COLUMNS: dict[str, Callable[[MethodConfig], object]] = {
    "epochs": lambda config: training(config).epochs,
    "batch": lambda config: training(config).batch,
    "rate": lambda config: training(config).lr,
    "width": width,
}


def table() -> dict[str, dict[str, str]]:
    """The table under "Fair comparison": its cells by method and column."""
    section = (ROOT / "docs/methods.md").read_text().partition("## Fair comparison\n")[2]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    header, _, *rows = lines
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def cells(method: str, column: str) -> str:
    """The values of the three profiles, or one value if they are the same."""
    values = [str(COLUMNS[column](config(dataset, method))) for dataset in PROFILES]
    return values[0] if len(set(values)) == 1 else " / ".join(values)


@pytest.mark.parametrize("column", COLUMNS)
def test_own_values(column: str) -> None:
    expected = {METHOD_LABELS[method]: cells(method, column) for method in LEARNED}
    assert {method: row[column] for method, row in table().items()} == expected


@pytest.mark.parametrize("dataset", CUT_DOWN)
def test_held_equal(dataset: str) -> None:
    """Frames and batch of all learned methods."""
    configs = [config(dataset, method) for method in LEARNED]
    assert len({(one.frames, training(one).batch) for one in configs}) == 1


def test_every_method_has_a_loss_and_frames_that_it_sees() -> None:
    assert all(
        row["loss"] and row["what it sees of a clip in training"] for row in table().values()
    )

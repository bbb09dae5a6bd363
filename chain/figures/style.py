"""How the figures look: a style for each method, fonts and sizes, and files of fixed bytes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from chain.core.files import replacing

WIDTH = 9.0  # inches; shown about 900 pixels wide, a point is then 1.4 pixels
DPI = 150

RC = {
    "font.family": "DejaVu Sans",  # it ships with matplotlib, and so is the same on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e0e0e0",
    "text.parse_math": False,  # a `$` in the name of a category is a `$`
}


@dataclass(frozen=True)
class MethodStyle:
    """A method's line, told apart from the others by marker and dash as well as by colour."""

    colour: str
    marker: str = "o"
    dash: str = "-"
    width: float = 1.4


# The colours are those of Okabe & Ito (2008), and four of Paul Tol. The colour-blind can tell them
# apart.
METHOD_STYLES = {
    "lsh": MethodStyle("#8a8a8a", "v", ":"),
    "pca_itq": MethodStyle("#56b4e9", "^", ":"),
    "pca_itq_halves": MethodStyle("#882255", "*", ":"),
    "pca_rotation": MethodStyle("#ddcc77", "H", ":"),
    "bth": MethodStyle("#e69f00", ">", "--"),
    "mcmsh": MethodStyle("#009e73", "D", "--"),
    "conmh": MethodStyle("#0072b2", "s", "-"),
    "wsch": MethodStyle("#cc79a7", "P", "-"),
    "s5vh": MethodStyle("#332288", "<", "-"),
    "autossvh": MethodStyle("#117733", "p", "--"),
    "chain": MethodStyle("#d55e00", "o", "-", 2.6),
    "chain_plus": MethodStyle("#6e1f00", "X", "-", 1.8),
}


def method_style(method: str) -> MethodStyle:
    """The style of a method; one that has none yet is drawn in black."""
    return METHOD_STYLES.get(method, MethodStyle("#000000", ".", "-."))


def legend_columns(labels: Sequence[str], width: float) -> int:
    """How many columns fill a legend `width` inches wide evenly, in as few rows as will fit."""
    needed = sum(0.6 + 0.08 * len(label) for label in labels)  # inches: handle and letters
    rows = math.ceil(needed / width)
    return math.ceil(len(labels) / rows)


def shorten(text: str, length: int) -> str:
    """Cut `text` to at most `length` characters, of which the last is then an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with matplotlib's defaults and `RC`, whatever the user's own settings are."""
    with matplotlib.style.context(["default", RC]):
        yield


@house_style()
def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, atomically; the same figure gives the same bytes."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})

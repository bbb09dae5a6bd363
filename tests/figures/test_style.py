import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from chain.figures.style import (
    DPI,
    METHOD_STYLES,
    house_style,
    legend_columns,
    method_style,
    save,
    shorten,
)
from chain.results.labels import METHOD_LABELS

# Machado et al., "A physiologically-based model for simulation of color vision deficiency", 2009:
# linear RGB as seen without the long-wave and without the middle-wave cones.
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
TO_XYZ = np.array(
    [[0.412456, 0.357576, 0.180438], [0.212673, 0.715152, 0.072175], [0.019334, 0.119192, 0.950304]]
)


def lab(colour, seen=None):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if seen is not None:
        linear = np.clip(seen @ linear, 0, 1)
    x, y, z = np.cbrt(TO_XYZ @ linear / np.array([0.950489, 1.0, 1.08884]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def drawn():
    figure = Figure((2, 1.5))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize("seen", [None, PROTANOPIA, DEUTERANOPIA])
def test_colours_of_methods_stay_apart_for_the_colour_blind(seen):
    colours = [lab(style.colour, seen) for style in METHOD_STYLES.values()]
    nearest = min(
        np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i]
    )  # CIE 1976; about 2 is just noticeable
    assert nearest > 8


def test_methods_differ_without_colour_and_chain_is_the_boldest():
    styles = METHOD_STYLES.values()
    assert len({style.marker for style in styles}) == len(styles)
    assert max(METHOD_STYLES, key=lambda method: METHOD_STYLES[method].width) == "chain"


def test_every_method_with_a_label_has_a_style():
    assert list(METHOD_STYLES) == list(METHOD_LABELS)
    unknown = method_style("mine")
    assert unknown not in METHOD_STYLES.values() and same_color(unknown.colour, "black")


def test_shorten():
    assert shorten("golf", 4) == "golf"
    assert shorten("golfing", 4) == "gol…"
    assert shorten("a long", 3) == "a…"  # no space before the ellipsis


def test_legends_fill_their_rows_evenly():
    assert legend_columns(["CHAIN"], 6) == 1
    assert legend_columns(["x" * 5] * 4, 9) == 4
    assert legend_columns(["x" * 20] * 8, 9) == 4  # 2.2 inches each: two rows
    assert legend_columns(["x" * 200], 3) == 1


def test_save_is_deterministic_atomic_and_unsigned(tmp_path):
    first, second = tmp_path / "a" / "first.png", tmp_path / "second.png"
    save(drawn(), first)
    save(drawn(), second)
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["first.png"]
    with Image.open(first) as image:
        assert image.size == (2 * DPI, 1.5 * DPI)
        assert not {"Software", "date", "Creation Time"} & set(image.info)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    class Broken(Figure):
        def savefig(self, *args, **kwargs):
            super().savefig(*args, **kwargs)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save(Broken(), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_users_own_settings_change_nothing(tmp_path):
    def styled():
        with house_style():
            return drawn()

    save(styled(), tmp_path / "plain.png")
    before = matplotlib.rcParams["font.size"]
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight", "lines.linewidth": 9}):
        save(styled(), tmp_path / "theirs.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert matplotlib.rcParams["font.size"] == before
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()

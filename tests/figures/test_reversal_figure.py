import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.reversal import LEGEND, reversal_distance
from chain.figures.style import METHOD_STYLES, save

TABLE = pd.DataFrame(
    {
        "method": ["chain", "lsh", "new"],
        "reversed": [9.0, 0.0, 5.0],
        "category": [5.0, 8.0, np.nan],
        "random": [32.0, 28.0, 30.0],
        "sd_reversed": [0.5, np.nan, 1.0],
    }
)


def marks(figure, marker):
    """The places of all marks of a kind, by height: {height: (distance, colour)}."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return {line.get_ydata()[0]: (line.get_xdata()[0], line.get_color()) for line in lines}


def test_every_method_has_its_line_in_the_order_of_legends():
    figure = reversal_distance(TABLE, 64)
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["LSH", "CHAIN", "new"]
    assert panel.yaxis_inverted()
    found = marks(figure, "o")
    assert [found[place][0] for place in range(3)] == [0, 9, 5]
    colours = [METHOD_STYLES["lsh"].colour, METHOD_STYLES["chain"].colour, "#000000"]
    assert all(same_color(found[place][1], colours[place]) for place in range(3))
    assert [marks(figure, "D")[place][0] for place in range(3)] == [28, 32, 30]
    category = [marks(figure, "|")[place][0] for place in range(3)]
    assert category[:2] == [8, 5] and np.isnan(category[2])
    assert panel.get_xlabel() == "mean Hamming distance (of 64 bits)"


def test_spread_over_seeds_is_a_line():
    spans = [
        segment[:, 0].tolist()
        for lines in reversal_distance(TABLE, 64).axes[0].collections
        for segment in lines.get_segments()
    ]
    assert [8.5, 9.5] in spans and [4.0, 6.0] in spans
    assert not reversal_distance(TABLE.drop(columns="sd_reversed"), 64).axes[0].collections


def test_the_legend_names_every_mark_and_nothing_is_cut():
    for count in (1, 3, 12):
        methods = list(METHOD_STYLES)[:count]
        table = pd.DataFrame(
            {"method": methods, "reversed": 3.0, "category": 5.0, "random": np.arange(count)}
        )
        figure = reversal_distance(table, 64)
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == list(LEGEND.values())
        for box in (figure.axes[0].get_tightbbox(), legend.get_window_extent()):
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
            assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not figure.axes[0].get_tightbbox().overlaps(legend.get_window_extent())


def test_same_bytes(tmp_path):
    for name in ("first.png", "second.png"):
        save(reversal_distance(TABLE, 64), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_bad_input():
    with pytest.raises(InputError, match="two rows with the same method"):
        reversal_distance(pd.concat([TABLE, TABLE]), 64)
    with pytest.raises(InputError, match="no column 'reversed'"):
        reversal_distance(TABLE.drop(columns="reversed"), 64)
    with pytest.raises(InputError, match="no rows"):
        reversal_distance(TABLE[:0], 64)

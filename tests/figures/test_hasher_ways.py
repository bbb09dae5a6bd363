import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from chain.core.errors import InputError
from chain.figures.hasher_ways import PANELS, hasher_ways

TABLE = pd.DataFrame(
    {
        "way": ["torch fp32", "ONNX int8, 8 frames"],
        "milliseconds": [20.0, 5.0],
        "flipped": [0.0, 0.015],
        "lost": [0.0, -0.002],
    }
)


def test_every_way_has_a_bar_in_every_panel() -> None:
    figure = hasher_ways(TABLE)
    assert [panel.get_xlabel() for panel in figure.axes] == list(PANELS.values())
    widths = [[bar.get_width() for bar in panel.patches] for panel in figure.axes]
    assert widths == [[20.0, 5.0], [0.0, 1.5], [0.0, -0.002]]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == list(TABLE["way"])
    assert figure.axes[0].yaxis_inverted()


def test_nothing_is_cut() -> None:
    figure = hasher_ways(TABLE)
    FigureCanvasAgg(figure).draw()
    for panel in figure.axes:
        box = panel.get_tightbbox()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0


def test_bad_tables() -> None:
    with pytest.raises(InputError, match="no column 'lost'"):
        hasher_ways(TABLE.drop(columns="lost"))
    with pytest.raises(InputError, match="'milliseconds' holds NaN"):
        hasher_ways(TABLE.assign(milliseconds=[1.0, np.nan]))
    with pytest.raises(InputError, match="two rows with the same way"):
        hasher_ways(TABLE.assign(way="one"))

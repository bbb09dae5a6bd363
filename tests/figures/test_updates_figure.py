import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer

from chain.core.errors import InputError
from chain.figures.updates import GROUPS, updates

TABLE = pd.DataFrame(
    [
        ("old", 0, 0.40, 0.5, 0.30, 10.0),
        ("anew", 0, 0.60, 0.6, 0.60, 20.0),
        ("updated", 0, 0.50, 0.5, 0.50, 3.0),
        ("old", 1, 0.44, 0.5, 0.36, 12.0),
        ("anew", 1, 0.60, 0.6, 0.60, 22.0),
        ("updated", 1, 0.54, 0.5, 0.58, 5.0),
    ],
    columns=["way", "seed", *GROUPS, "seconds"],
)


def test_bars_are_means_and_whiskers_standard_deviations() -> None:
    panel = updates(TABLE).axes[0]
    bars = [group for group in panel.containers if isinstance(group, BarContainer)]
    heights = [[bar.get_height() for bar in group] for group in bars]
    expected = [[0.42, 0.5, 0.33], [0.52, 0.5, 0.54], [0.6, 0.6, 0.6]]  # old, updated, anew
    for found, means in zip(heights, expected, strict=True):
        assert found == pytest.approx(means)
    (whisker, *_) = panel.collections[0].get_segments()
    spread = 0.04 / 2**0.5
    assert whisker[:, 1].tolist() == pytest.approx([0.42 - spread, 0.42 + spread])


def test_one_seed_and_a_legend_with_seconds() -> None:
    figure = updates(TABLE[TABLE["seed"] == 0])
    FigureCanvasAgg(figure).draw()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.rsplit("(", 1)[1] for text in texts] == ["10 s)", "3 s)", "20 s)"]
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_bad_tables() -> None:
    with pytest.raises(InputError, match="no column 'late'"):
        updates(TABLE.drop(columns="late"))
    with pytest.raises(InputError, match="two rows with the same way, seed"):
        updates(TABLE.assign(seed=0))

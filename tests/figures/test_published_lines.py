import hashlib
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.map_curves import map_curves
from chain.figures.style import METHOD_STYLES, save
from chain.results.published import read_published

KS = [5, 20, 100]


def map_table(datasets=("fcvid", "demo"), lengths=(16, 64), level=0.2):
    rows = [
        {"dataset": dataset, "method": method, "bits": bits, "k": k, "map_ssvh": level - k / 1000}
        for dataset in datasets
        for method in ("conmh", "chain")
        for bits in lengths
        for k in KS
    ]
    return pd.DataFrame(rows).assign(map_strict=lambda table: table["map_ssvh"] / 2)


def published(*cells):
    """An entry for each (dataset, method, bits), its points not in order."""
    rows = [
        {"dataset": dataset, "method": method, "bits": bits, "k": k, "map_ssvh": 0.9 - k / 200}
        for dataset, method, bits in cells
        for k in (100, 5, 20)
    ]
    return pd.DataFrame(rows)


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def digest(figure, path):
    save(figure, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_line_in_its_own_panel_only():
    figure = map_curves(map_table(), "ssvh", published(("fcvid", "conmh", 64)))
    assert [len(panel.lines) for panel in figure.axes] == [2, 3, 2, 2]
    (line,) = [one for one in figure.axes[1].lines if one.get_label() == "ConMH, published"]
    np.testing.assert_array_equal(line.get_xdata(), KS)
    np.testing.assert_allclose(line.get_ydata(), [0.875, 0.8, 0.4])
    assert same_color(line.get_color(), METHOD_STYLES["conmh"].colour)
    assert line.get_linestyle() == ":" and line.get_marker() == "None"
    assert line.get_linewidth() < METHOD_STYLES["conmh"].width
    assert legend(figure) == ["ConMH", "CHAIN", "ConMH, published"]


def test_scale_grows_to_show_the_line():
    """The panels of a row share one scale, which starts at 0; the other rows keep theirs."""
    plain = map_curves(map_table(), "ssvh")
    figure = map_curves(map_table(), "ssvh", published(("fcvid", "conmh", 64)))
    low, high = figure.axes[0].get_ylim()
    assert low == 0 and high > 0.875
    assert figure.axes[1].get_ylim() == (low, high)
    assert figure.axes[2].get_ylim() == plain.axes[2].get_ylim()


def test_legend_names_each_method_once_in_order():
    cells = [("fcvid", method, bits) for method in ("wsch", "conmh", "s5vh") for bits in (16, 64)]
    figure = map_curves(map_table(), "ssvh", published(*cells))
    assert legend(figure)[2:] == ["ConMH, published", "WSCH, published", "S5VH, published"]


@pytest.mark.parametrize(
    ("protocol", "extra"),
    [
        ("strict", published(("fcvid", "conmh", 64))),
        ("ssvh", published(("ucf101", "conmh", 64), ("fcvid", "conmh", 32))),
        ("ssvh", published()),
    ],
)
def test_nothing_to_draw_leaves_the_bytes_alone(protocol, extra, tmp_path):
    plain = digest(map_curves(map_table(), protocol), tmp_path / "plain.png")
    assert digest(map_curves(map_table(), protocol, extra), tmp_path / "extra.png") == plain


def test_same_bytes_twice_and_tables_stay(tmp_path):
    table, extra = map_table(), published(("fcvid", "conmh", 64))
    one = digest(map_curves(table, "ssvh", extra), tmp_path / "one.png")
    assert digest(map_curves(table, "ssvh", extra), tmp_path / "two.png") == one
    assert one != digest(map_curves(table, "ssvh"), tmp_path / "plain.png")
    pd.testing.assert_frame_equal(table, map_table())
    pd.testing.assert_frame_equal(extra, published(("fcvid", "conmh", 64)))


def test_all_of_the_literature_fits():
    figure = map_curves(
        map_table(["fcvid", "activitynet", "ucf101", "hmdb51"], (16, 32, 64)),
        "ssvh",
        read_published(),
    )
    figure.savefig(io.BytesIO())  # lays the figure out
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= figure.bbox.x0 and box.x1 <= figure.bbox.x1
    assert not any(box.overlaps(panel.get_tightbbox()) for panel in figure.axes)
    assert len(figure.axes[2].lines) == 2 + 6  # FCVID with 64 bits


def test_bad_published_tables():
    extra = published(("fcvid", "conmh", 64))
    with pytest.raises(InputError, match="no column 'map_ssvh'"):
        map_curves(map_table(), "ssvh", extra.drop(columns="map_ssvh"))
    with pytest.raises(InputError, match="two rows with the same dataset, method, bits, k"):
        map_curves(map_table(), "ssvh", pd.concat([extra, extra]))

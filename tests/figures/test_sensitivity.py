import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.sensitivity import sensitivity
from chain.figures.style import METHOD_STYLES, save

SWEEPS = {
    "AP preference": ([0.5, 1.0, 2.0], 1.0),
    "temperature": ([0.05, 0.5, 5.0, 50.0], 0.5),
    "weight of the order loss": ([1.0, 0.0, 0.001], 1.0),
}


def sweep_table(sweeps=SWEEPS, sd=0.01):
    return pd.DataFrame(
        [
            {
                "parameter": name,
                "value": value,
                "map": 0.5 + 0.02 * number + 0.1 * place,
                "sd": sd,
                "default": value == default,
            }
            for place, (name, (values, default)) in enumerate(sweeps.items())
            for number, value in enumerate(values)
        ]
    )


def ticks(panel):
    return [tick.get_text() for tick in panel.get_xticklabels()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(panel):
    (found,) = [one for one in panel.lines if one.get_linestyle() == "-"]
    return found


def default(panel):
    (found,) = [one for one in panel.lines if one.get_marker() == "D"]
    return found.get_xydata()


def test_one_panel_a_parameter_values_at_even_distances():
    panels = sensitivity(sweep_table()).axes
    assert [panel.get_xlabel() for panel in panels] == list(SWEEPS)
    assert [panel.get_ylabel() for panel in panels] == ["mAP@20", "", ""]
    assert [ticks(panel) for panel in panels] == [
        ["0.5", "1", "2"],
        ["0.05", "0.5", "5", "50"],
        ["0", "0.001", "1"],
    ]
    for panel in panels:
        count = len(ticks(panel))
        np.testing.assert_array_equal(panel.get_xticks(), range(count))
        np.testing.assert_array_equal(line(panel).get_xdata(), range(count))
        assert same_color(line(panel).get_color(), METHOD_STYLES["chain"].colour)
    np.testing.assert_allclose(line(panels[2]).get_ydata(), [0.72, 0.74, 0.70])  # 0, .001, 1
    assert sensitivity(sweep_table(), k=5).axes[0].get_ylabel() == "mAP@5"


def test_the_default_is_marked():
    panels = sensitivity(sweep_table()).axes
    np.testing.assert_allclose(default(panels[0]), [[1, 0.52]])
    np.testing.assert_allclose(default(panels[1]), [[1, 0.62]])
    np.testing.assert_allclose(default(panels[2]), [[2, 0.70]])


def test_error_bars_where_the_spread_is_known():
    table = sweep_table({"temperature": ([0.1, 0.2, 0.3], 0.2)})
    table["sd"] = [0.01, np.nan, 0.03]
    figure = sensitivity(table)
    low, middle, high = figure.axes[0].collections[0].get_segments()
    np.testing.assert_allclose(low, [[0, 0.49], [0, 0.51]])
    np.testing.assert_allclose(middle, [[1, 0.52], [1, 0.52]])  # no length
    np.testing.assert_allclose(high, [[2, 0.51], [2, 0.57]])
    assert legend(figure) == ["CHAIN, mean ± sd over seeds", "default"]
    for unknown in (table.assign(sd=np.nan), table.drop(columns="sd")):
        assert legend(sensitivity(unknown)) == ["CHAIN", "default"]


def test_one_scale_for_all_panels():
    table = sweep_table({f"p{number}": ([1.0, 2.0], 1.0) for number in range(5)})
    panels = sensitivity(table).axes
    ((low, high),) = {panel.get_ylim() for panel in panels}
    assert low < 0.49 and high > 0.93  # 0.5 - sd and 0.92 + sd


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_everything_fits_and_no_panel_is_empty(count):
    names = [f"weight of the {number}th loss" for number in range(count)]
    values = [0.0, 0.001, 0.01, 0.1, 1.0, 10.0]
    figure = sensitivity(sweep_table(dict.fromkeys(names, (values, 0.1))))
    assert [panel.get_xlabel() for panel in figure.axes] == names
    FigureCanvasAgg(figure).draw()
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    boxes.append(figure.legends[0].get_window_extent())
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_one_value_alone():
    figure = sensitivity(sweep_table({"temperature": ([0.5], 0.5)}, sd=np.nan))
    assert ticks(figure.axes[0]) == ["0.5"]
    low, high = figure.axes[0].get_ylim()
    assert low < 0.5 < high


def test_same_bytes_and_tables_stay_as_they_were(tmp_path):
    table = sweep_table()
    save(sensitivity(table), tmp_path / "first.png")
    save(sensitivity(table), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    pd.testing.assert_frame_equal(table, sweep_table())


def test_bad_tables():
    for column in ("parameter", "value", "map", "default"):
        with pytest.raises(InputError, match=f"no column '{column}'"):
            sensitivity(sweep_table().drop(columns=column))
        broken = sweep_table().astype({column: object})
        broken.loc[0, column] = np.nan
        with pytest.raises(InputError, match=f"column '{column}' holds NaN"):
            sensitivity(broken)
    with pytest.raises(InputError, match="no rows"):
        sensitivity(sweep_table().iloc[:0])
    with pytest.raises(InputError, match="two rows with the same parameter, value"):
        sensitivity(pd.concat([sweep_table(), sweep_table().assign(default=False)]))
    with pytest.raises(InputError, match="'default' holds something else than true and false"):
        sensitivity(sweep_table().assign(default="yes"))
    with pytest.raises(InputError, match="'value' holds something else than finite numbers"):
        sensitivity(sweep_table().assign(value=np.inf))
    with pytest.raises(InputError, match="0 defaults of parameter 'temperature'"):
        sensitivity(sweep_table(SWEEPS | {"temperature": ([0.1, 0.2], 0.5)}))
    with pytest.raises(InputError, match="3 defaults of parameter 'AP preference'"):
        sensitivity(sweep_table().assign(default=True))

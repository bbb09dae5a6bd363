import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.category_gain import category_gain, category_gains
from chain.figures.style import METHOD_STYLES, save


def queries(*precisions, seeds=(0, 1)):
    """One table of queries: `precisions` are those of q0, q1, ... for each seed in turn."""
    return pd.DataFrame(
        [
            {"seed": seed, "id": f"q{number}", "ap5": 0.0, "ap20": value}
            for seed, row in zip(seeds, precisions, strict=True)
            for number, value in enumerate(row)
        ]
    )


OURS = queries([0.9, 0.5, 0.4], [0.7, 0.7, 0.2])
THEIRS = queries([0.5, 0.5, 0.5], [0.5, 0.1, 0.5])
LABELS = {"q0": "run", "q1": "run", "q2": "fall"}


def gains_table(count=5, sd=0.01, dotted=(1, 3)):
    return pd.DataFrame(
        {
            "category": [f"c{number:03d}" for number in range(count)],
            "gain": [0.1 * (number - 1.5) for number in range(count)],
            "sd": sd,
            "order_only": [number in dotted for number in range(count)],
        }
    )


def bars(figure):
    """Category and length of each bar, from the top of the figure."""
    (panel,) = figure.axes
    names = {
        tick.get_position()[1]: tick.get_text()
        for tick in panel.get_yticklabels()
        if tick.get_text()
    }
    found = sorted(panel.patches, key=lambda bar: bar.get_y())
    assert panel.yaxis_inverted()
    return [(names[round(bar.get_y() + bar.get_height() / 2)], bar.get_width()) for bar in found]


def dots(figure):
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert line.get_linestyle() == "None"
    return line


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_gains_by_hand():
    table = category_gains(OURS, THEIRS, LABELS, order_only={"fall", "rise"})
    assert list(table.columns) == ["category", "gain", "sd", "order_only"]
    assert list(table["category"]) == ["run", "fall"]
    # run: seed 0 (.4 + 0) / 2 = .2, seed 1 (.2 + .6) / 2 = .4; fall: -.1 and -.3
    np.testing.assert_allclose(table["gain"], [0.3, -0.2])
    np.testing.assert_allclose(table["sd"], [0.02**0.5, 0.02**0.5])
    assert list(table["order_only"]) == [False, True]


def test_gains_pair_queries_by_id_and_seed():
    shuffled = THEIRS.sample(frac=1, random_state=0)
    want = category_gains(OURS, THEIRS, LABELS)
    pd.testing.assert_frame_equal(category_gains(OURS, shuffled, LABELS), want)
    assert not want["order_only"].any()


def test_gains_at_another_k_and_of_one_seed():
    table = category_gains(OURS[OURS["seed"] == 0], THEIRS[THEIRS["seed"] == 0], LABELS, k=5)
    assert list(table["gain"]) == [0, 0]
    assert table["sd"].isna().all()
    assert list(table["category"]) == ["fall", "run"]  # alike, so by name


def test_a_query_with_several_categories_counts_in_each():
    table = category_gains(OURS, THEIRS, LABELS | {"q2": "fall;run"}).set_index("category")
    np.testing.assert_allclose(table.loc["run", "gain"], (0.4 + 0 - 0.1 + 0.2 + 0.6 - 0.3) / 6)
    np.testing.assert_allclose(table.loc["fall", "gain"], -0.2)


def test_gains_refuse_tables_that_do_not_match():
    for other in (THEIRS.iloc[1:], THEIRS.assign(seed=THEIRS["seed"] + 1)):
        with pytest.raises(InputError, match="different queries or seeds"):
            category_gains(OURS, other, LABELS)
        with pytest.raises(InputError, match="different queries or seeds"):
            category_gains(other, OURS, LABELS)
    with pytest.raises(InputError, match="no column 'ap7'"):
        category_gains(OURS, THEIRS, LABELS, k=7)
    with pytest.raises(InputError, match="two rows with the same seed, id"):
        category_gains(OURS, pd.concat([THEIRS, THEIRS]), LABELS)
    for labels in (LABELS | {"q1": ""}, {"q0": "run", "q2": "fall"}):
        with pytest.raises(InputError, match="no category of 'q1'"):
            category_gains(OURS, THEIRS, labels)


def test_one_bar_a_category_the_best_on_top():
    table = gains_table().sample(frac=1, random_state=1)
    figure = category_gain(table)
    want = [("c004", 0.25), ("c003", 0.15), ("c002", 0.05), ("c001", -0.05), ("c000", -0.15)]
    assert [name for name, _ in bars(figure)] == [name for name, _ in want]
    np.testing.assert_allclose([gain for _, gain in bars(figure)], [gain for _, gain in want])
    for bar in figure.axes[0].patches:
        method = "chain" if bar.get_width() > 0 else "conmh"
        assert same_color(bar.get_facecolor(), METHOD_STYLES[method].colour)
    assert figure.axes[0].get_xlabel() == "mAP@20 of CHAIN minus that of ConMH"
    assert category_gain(table, 5).axes[0].get_xlabel() == "mAP@5 of CHAIN minus that of ConMH"


def test_dots_mark_the_order_only():
    figure = category_gain(gains_table())
    assert list(dots(figure).get_ydata()) == [1, 3]  # c003 and c001, counted from the top
    both = ["CHAIN better", "ConMH better"]
    assert legend(figure) == [*both, "pair differing in temporal order only"]
    plain = category_gain(gains_table(dotted=()))
    assert not len(dots(plain).get_ydata())
    assert legend(plain) == both


def test_lines_where_the_spread_is_known():
    table = gains_table(3, sd=[0.01, np.nan, 0.03])
    figure = category_gain(table)
    (lines,) = figure.axes[0].collections
    first, second = lines.get_segments()
    np.testing.assert_allclose(first, [[0.02, 0], [0.08, 0]])
    np.testing.assert_allclose(second, [[-0.16, 2], [-0.14, 2]])
    assert figure.axes[0].get_title() == "3 categories\nmean ± sd over seeds"
    for unknown in (table.assign(sd=np.nan), table.drop(columns="sd")):
        assert category_gain(unknown).axes[0].get_title() == "3 categories"


def test_of_many_categories_both_ends():
    figure = category_gain(gains_table(240, sd=np.nan))
    assert figure.axes[0].get_title() == "the 15 best and the 15 worst of 240 categories"
    names = [name for name, _ in bars(figure)]
    assert names == [f"c{number:03d}" for number in (*range(239, 224, -1), *range(14, -1, -1))]
    (rule,) = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert set(rule.get_ydata()) == {14.5}
    everything = category_gain(gains_table(30))
    assert len(bars(everything)) == 30
    assert not [line for line in everything.axes[0].lines if line.get_linestyle() == ":"]


@pytest.mark.parametrize("count", [2, 24, 240])
def test_everything_fits_and_dots_stand_beside_the_names(count):
    table = gains_table(count)
    table["category"] = "a category with a name that is long " + table["category"]
    figure = category_gain(table)
    FigureCanvasAgg(figure).draw()
    panel, legend_box = figure.axes[0].get_tightbbox(), figure.legends[0].get_window_extent()
    for box in (panel, legend_box):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
    assert not legend_box.overlaps(panel)
    dot_column = dots(figure).get_window_extent()
    labels = [tick.get_window_extent() for tick in figure.axes[0].get_yticklabels()]
    assert max(box.x1 for box in labels) < dot_column.x0
    assert dot_column.x1 < figure.axes[0].get_window_extent().x0


def test_same_bytes_and_tables_stay_as_they_were(tmp_path):
    table = gains_table()
    save(category_gain(table), tmp_path / "first.png")
    save(category_gain(table), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    pd.testing.assert_frame_equal(table, gains_table())


def test_bad_tables():
    for column in ("category", "gain", "order_only"):
        with pytest.raises(InputError, match=f"no column '{column}'"):
            category_gain(gains_table().drop(columns=column))
        broken = gains_table().astype({column: object})
        broken.loc[0, column] = np.nan
        with pytest.raises(InputError, match=f"column '{column}' holds NaN"):
            category_gain(broken)
    with pytest.raises(InputError, match="no rows"):
        category_gain(gains_table(0))
    with pytest.raises(InputError, match="two rows with the same category"):
        category_gain(pd.concat([gains_table(), gains_table().assign(order_only=True)]))
    with pytest.raises(InputError, match="'order_only' holds something else than true and false"):
        category_gain(gains_table().assign(order_only="no"))

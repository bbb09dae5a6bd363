import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.bits import map_by_bits
from chain.figures.learning_curves import learning_curves
from chain.figures.map_curves import map_curves
from chain.figures.precision_recall import precision_recall
from chain.figures.style import METHOD_STYLES, save
from chain.results.labels import method_label

THREE = ["lsh", "conmh", "chain"]
FOUR_SETS = ["fcvid", "activitynet", "ucf101", "hmdb51"]


def map_table(datasets=("demo",), methods=THREE, lengths=(16, 32, 64), topk=(5, 20, 100)):
    rows = [
        {
            "dataset": dataset,
            "method": method,
            "bits": bits,
            "k": k,
            "map_strict": 0.5 / (1 + i + j) + bits / 1000 - k / 1000,
            "map_ssvh": 0.4 / (1 + i + j) + bits / 1000 - k / 1000,
        }
        for i, dataset in enumerate(datasets)
        for j, method in enumerate(methods)
        for bits in lengths
        for k in topk
    ]
    return pd.DataFrame(rows)


def curve_table(datasets=("demo",), methods=THREE, lengths=(16, 32, 64)):
    recall = np.linspace(0.01, 1, 20)
    return pd.concat(
        pd.DataFrame(
            {
                "dataset": dataset,
                "method": method,
                "bits": bits,
                "recall": recall,
                "precision": (0.9 - 0.1 * j) * (1 - 0.8 * recall),
            }
        )
        for dataset in datasets
        for j, method in enumerate(methods)
        for bits in lengths
    )


def history(method="chain", bits=64, epochs=4, parts=("loss", "contrastive", "order")):
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {"method": method, "bits": bits, "epoch": epoch, "lr": 1e-4}
        | {part: (place + 1) / epoch for place, part in enumerate(parts)}
    )


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(panel, label):
    (found,) = [one for one in panel.lines if one.get_label() == label]
    return found


def assert_fits(figure):
    """Legend, titles and labels lie within the figure, and the legend clear of every panel."""
    FigureCanvasAgg(figure).draw()
    renderer = figure.canvas.get_renderer()
    whole, box = figure.bbox, figure.legends[0].get_window_extent(renderer)
    for extent in (box, *(panel.get_tightbbox(renderer) for panel in figure.axes)):
        assert extent.x0 >= whole.x0 - 1 and extent.x1 <= whole.x1 + 1
        assert extent.y0 >= whole.y0 - 1 and extent.y1 <= whole.y1 + 1
    for panel in figure.axes:
        assert not box.overlaps(panel.get_tightbbox(renderer))


FIGURES = [
    (map_curves, map_table, ["dataset", "method", "bits", "k", "map_strict"]),
    (map_by_bits, map_table, ["dataset", "method", "bits", "k", "map_strict"]),
    (precision_recall, curve_table, ["dataset", "method", "bits", "recall", "precision"]),
    (learning_curves, history, ["method", "bits", "epoch"]),
]


@pytest.mark.parametrize(("draw", "table", "columns"), FIGURES)
def test_missing_columns_and_nan_are_named(draw, table, columns):
    for column in columns:
        with pytest.raises(InputError, match=f"no column '{column}'"):
            draw(table().drop(columns=column))
        broken = table().reset_index(drop=True)
        broken[column] = broken[column].astype(object).where(broken.index > 0, np.nan)
        with pytest.raises(InputError, match=f"column '{column}' holds NaN"):
            draw(broken)


@pytest.mark.parametrize(("draw", "table", "columns"), FIGURES)
def test_an_empty_table_is_refused(draw, table, columns):
    with pytest.raises(InputError, match="no row"):
        draw(table().iloc[:0])


@pytest.mark.parametrize("draw", [map_curves, map_by_bits])
def test_seeds_that_nobody_averaged_are_refused(draw):
    with pytest.raises(InputError, match="two rows with the same dataset, method, bits, k"):
        draw(pd.concat([map_table(), map_table()]))


@pytest.mark.parametrize("value", [np.inf, "0.5"])
def test_values_that_are_no_finite_numbers_are_refused(value):
    table = map_table()
    table["map_strict"] = value
    with pytest.raises(InputError, match="'map_strict' holds something else than finite numbers"):
        map_curves(table)


@pytest.mark.parametrize(("draw", "table", "columns"), FIGURES)
def test_same_table_same_bytes(draw, table, columns, tmp_path):
    save(draw(table()), tmp_path / "first.png")
    save(draw(table()), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


@pytest.mark.parametrize(("draw", "table", "columns"), FIGURES)
def test_tables_stay_as_they_were(draw, table, columns):
    mine = table()
    draw(mine)
    pd.testing.assert_frame_equal(mine, table())


def test_nothing_loads_pyplot():
    code = (
        "import sys, chain.figures.map_curves, chain.figures.tsne, chain.figures.gallery\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_each_k_that_is_named_is_whole():
    figure = map_curves(map_table(topk=(5, 10, 20)))
    named = set()
    for width in range(4, 20):  # at some of them there is room for every 2.5
        figure.set_size_inches(width, 3)
        named.update(figure.axes[0].get_xticks())
    assert {5, 10, 20} < named and all(value == int(value) for value in named)


@pytest.mark.parametrize(
    ("datasets", "methods"), [(["demo"], THREE[1:]), (FOUR_SETS, list(METHOD_STYLES))]
)
def test_everything_fits(datasets, methods):
    assert_fits(map_curves(map_table(datasets, methods)))
    assert_fits(map_by_bits(map_table(datasets, methods)))


def test_legends_with_long_names_fit():
    methods = [f"a method whose name is long {number}" for number in range(5)]
    assert_fits(map_curves(map_table(methods=methods, lengths=[64])))


def test_map_curves_panels_lines_and_labels():
    table = map_table(["ucf101", "demo"]).sample(frac=1, random_state=0)
    table = table.sort_values("dataset", ascending=False, kind="stable")
    figure = map_curves(table)
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == ["16 bits", "32 bits", "64 bits", "", "", ""]
    assert [panel.get_xlabel() for panel in panels] == ["", "", "", "K", "K", "K"]
    assert panels[0].get_ylabel() == "UCF101\nmAP@K (strict)"
    assert panels[3].get_ylabel() == "Demo\nmAP@K (strict)"
    assert legend(figure) == ["LSH", "ConMH", "CHAIN"]
    for row, dataset in enumerate(["ucf101", "demo"]):
        for column, bits in enumerate([16, 32, 64]):
            panel = panels[3 * row + column]
            assert len(panel.lines) == 3
            for method in THREE:
                of_panel = (table["dataset"] == dataset) & (table["bits"] == bits)
                want = table[of_panel & (table["method"] == method)].sort_values("k")
                drawn = line(panel, method_label(method))
                np.testing.assert_array_equal(drawn.get_xdata(), [5, 20, 100])
                np.testing.assert_array_equal(drawn.get_ydata(), want["map_strict"])
                assert same_color(drawn.get_color(), METHOD_STYLES[method].colour)
    assert panels[0].get_ylim() == panels[2].get_ylim() != panels[3].get_ylim()
    assert panels[0].get_ylim()[0] == 0


def test_map_curves_show_the_protocol_asked_for():
    table = map_table()
    panel = map_curves(table, "ssvh").axes[0]
    assert panel.get_ylabel() == "Demo\nmAP@K (ssvh)"
    want = table.query("method == 'chain' and bits == 16")["map_ssvh"]
    np.testing.assert_array_equal(line(panel, "CHAIN").get_ydata(), want)
    with pytest.raises(InputError, match="no column 'map_median'"):
        map_curves(table, "median")


def test_map_curves_band_where_the_spread_is_known():
    table = map_table(methods=["chain"], lengths=[64])
    assert not map_curves(table).axes[0].collections
    table["sd_strict"] = [0.01, 0.02, np.nan]
    (band,) = map_curves(table).axes[0].collections
    corners = band.get_paths()[0].vertices
    mean = table["map_strict"].to_numpy()
    assert np.isclose(corners[:, 1].max(), mean[0] + 0.01)
    assert np.isclose(corners[:, 1].min(), mean[1] - 0.02)
    assert corners[:, 0].max() == 20  # not known at K = 100
    assert not map_curves(table, "ssvh").axes[0].collections  # a spread of the other protocol


def test_one_method_one_length_one_point():
    table = map_table(methods=["chain"], lengths=[64], topk=[20])
    for draw in (map_curves, map_by_bits):
        figure = draw(table)
        assert len(figure.axes) == 1
        assert legend(figure) == ["CHAIN"]
        assert line(figure.axes[0], "CHAIN").get_marker() not in ("", "None")
        assert_fits(figure)


def test_an_unknown_method_keeps_its_name():
    figure = map_curves(map_table(methods=["mine", "chain"]))
    assert legend(figure) == ["CHAIN", "mine"]


def test_precision_recall_keeps_the_order_of_ranks():
    table = curve_table(["demo"], ["chain"], [32])
    table["recall"] = np.repeat(np.linspace(0.1, 1, 5), 4)  # stands still between hits
    table["precision"] = np.linspace(1, 0.1, 20)
    panel = precision_recall(table).axes[0]
    drawn = line(panel, "CHAIN")
    np.testing.assert_array_equal(drawn.get_ydata(), table["precision"])
    assert panel.get_xlabel() == "recall"
    assert panel.get_ylabel() == "Demo\nprecision"


def test_precision_recall_grid():
    figure = precision_recall(curve_table(FOUR_SETS[:2]))
    assert len(figure.axes) == 6
    assert [len(panel.lines) for panel in figure.axes] == [3] * 6
    assert_fits(figure)


def test_map_by_bits_panels_and_points():
    table = map_table(FOUR_SETS[:2]).iloc[::-1]
    figure = map_by_bits(table)
    first, second = figure.axes
    assert [first.get_title(), second.get_title()] == ["ActivityNet", "FCVID"]
    assert first.get_ylabel() == "mAP@20 (strict)"
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["16", "32", "64"]
    drawn = line(second, "ConMH")
    want = table.query("dataset == 'fcvid' and method == 'conmh' and k == 20").sort_values("bits")
    np.testing.assert_array_equal(drawn.get_xdata(), [16, 32, 64])
    np.testing.assert_array_equal(drawn.get_ydata(), want["map_strict"])
    assert map_by_bits(table, k=5).axes[0].get_ylabel() == "mAP@5 (strict)"
    with pytest.raises(InputError, match="no row with k up to 4"):
        map_by_bits(table, k=4)


def test_map_by_bits_of_a_data_set_that_lacks_this_k():
    small = map_table(FOUR_SETS[:1], topk=[3, 7])
    table = pd.concat([small, map_table(FOUR_SETS[1:2])])
    first, second = map_by_bits(table).axes
    assert [first.get_title(), second.get_title()] == ["FCVID, mAP@7", "ActivityNet, mAP@20"]
    assert first.get_ylabel() == "mAP@K (strict)"
    (alone,) = map_by_bits(small).axes
    assert (alone.get_title(), alone.get_ylabel()) == ("FCVID", "mAP@7 (strict)")
    want = small.query("method == 'conmh' and k == 7").sort_values("bits")
    np.testing.assert_array_equal(line(first, "ConMH").get_ydata(), want["map_strict"])


def test_map_by_bits_error_bars():
    table = map_table(methods=["chain"], topk=[20])
    table["sd_strict"] = [0.01, np.nan, 0.03]
    panel = map_by_bits(table).axes[0]
    mean = table["map_strict"].to_numpy()
    first, last = panel.collections[0].get_segments()
    np.testing.assert_allclose(first, [[16, mean[0] - 0.01], [16, mean[0] + 0.01]])
    np.testing.assert_allclose(last, [[64, mean[2] - 0.03], [64, mean[2] + 0.03]])
    assert same_color(panel.collections[0].get_edgecolor()[1], METHOD_STYLES["chain"].colour)
    assert not map_by_bits(table, "ssvh").axes[0].collections  # a spread of the other protocol


def test_learning_curves_one_panel_a_run_one_line_a_part():
    table = pd.concat(
        [
            history("chain", 64, parts=("loss", "contrastive", "order")).iloc[::-1],
            history("conmh", 64, parts=("loss", "reconstruction")),
            history("conmh", 16, parts=("loss", "reconstruction")),
        ]
    )
    figure = learning_curves(table.assign(seed=0, dataset="demo"))
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["ConMH, 16 bits", "ConMH, 64 bits", "CHAIN, 64 bits"]
    names = [[one.get_label() for one in panel.lines] for panel in figure.axes]
    assert names == [["loss", "reconstruction"]] * 2 + [["loss", "contrastive", "order"]]
    assert legend(figure) == ["loss", "contrastive", "order", "reconstruction"]
    drawn = line(figure.axes[2], "order")
    np.testing.assert_array_equal(drawn.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(drawn.get_ydata(), 3 / np.arange(1, 5))
    colours = {one.get_color() for one in figure.axes[2].lines}
    assert len(colours) == 3
    assert line(figure.axes[0], "loss").get_color() == line(figure.axes[2], "loss").get_color()
    assert_fits(figure)


def test_learning_curves_show_the_mean_of_the_seeds():
    one, other = history().assign(seed=0), history().assign(seed=1)
    other["order"] += 2
    panel = learning_curves(pd.concat([one, other])).axes[0]
    assert len(panel.lines) == 3
    drawn = line(panel, "order")
    np.testing.assert_array_equal(drawn.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(drawn.get_ydata(), one["order"] + 1)
    with pytest.raises(InputError, match="two rows with the same method, bits, epoch, seed"):
        learning_curves(pd.concat([one, one]))


def test_learning_curves_leave_no_empty_panel():
    runs = [history("chain", bits) for bits in (16, 32, 64, 128)]
    figure = learning_curves(pd.concat(runs))
    assert len(figure.axes) == 4
    assert_fits(figure)


def test_learning_curves_of_one_epoch_are_visible():
    figure = learning_curves(history(epochs=1))
    assert {one.get_marker() for one in figure.axes[0].lines} == {"o"}


def test_learning_curves_refuse_what_they_cannot_draw():
    with pytest.raises(InputError, match="no column with a part of the loss"):
        learning_curves(history(parts=()))
    with pytest.raises(InputError, match="two rows with the same method, bits, epoch"):
        learning_curves(pd.concat([history(), history()]))
    with pytest.raises(InputError, match="no part of the loss of 'lsh' at 64 bits"):
        learning_curves(pd.concat([history(), history("lsh", parts=())]))


def test_a_part_may_be_missing_in_some_epochs():
    holey = history()
    holey.loc[1, "order"] = np.nan
    lines = {line.get_label(): line for line in learning_curves(holey).axes[0].lines}
    assert list(lines["order"].get_xdata()) == [
        epoch for row, epoch in enumerate(holey["epoch"]) if row != 1
    ]
    assert list(lines["loss"].get_xdata()) == list(holey["epoch"])

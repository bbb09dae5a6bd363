import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from chain.core.errors import InputError
from chain.figures.order_confusion import order_confusion
from chain.figures.style import save

SMALL = np.array([[6, 2, 0], [1, 2, 1], [0, 5, 5]])


def near_diagonal(positions):
    places = np.arange(positions)
    return 1 + 100 // (1 + np.abs(places[:, None] - places)) ** 2


def panels(figure):
    """The heat maps, without the colour bar."""
    return [panel for panel in figure.axes if panel.images]


def image(panel):
    return np.asarray(panel.images[0].get_array())


def test_rows_are_shares_of_the_true_position():
    (panel,) = panels(order_confusion({"Demo": SMALL}, 0.25))
    np.testing.assert_allclose(image(panel), [[0.75, 0.25, 0], [0.25, 0.5, 0.25], [0, 0.5, 0.5]])
    assert panel.yaxis_inverted() and not panel.xaxis_inverted()  # position 1 is top left
    assert panel.get_ylabel() == "true position"
    assert panel.get_xlabel() == "predicted position"


def test_a_position_without_frames_is_an_empty_row():
    (panel,) = panels(order_confusion({"Demo": SMALL * [[1], [0], [1]]}, 0.25))
    np.testing.assert_allclose(image(panel), [[0.75, 0.25, 0], [0, 0, 0], [0, 0.5, 0.5]])


def test_title_gives_accuracy_and_chance():
    figure = order_confusion({"Demo": SMALL, "UCF101": np.diag([3, 1]), "w" * 50: SMALL}, 0.25)
    titles = [panel.get_title() for panel in panels(figure)]
    assert titles[0] == "Demo\naccuracy 0.591, chance 0.250"  # 13 of 22 frames
    assert titles[1] == "UCF101\naccuracy 1.000, chance 0.250"
    assert titles[2] == f"{'w' * 31}…\naccuracy 0.591, chance 0.250"


def test_all_panels_have_one_scale():
    figure = order_confusion({"a": SMALL, "b": np.ones((3, 3), int)}, 0.25)
    assert [panel.images[0].get_clim() for panel in panels(figure)] == [(0, 0.75)] * 2
    assert len(figure.axes) == 3  # and one colour bar
    assert figure.axes[2].get_ylabel() == "share of the true position's frames"


def test_values_of_few_positions_are_printed():
    (panel,) = panels(order_confusion({"Demo": SMALL}, 0.25))
    cells = {text.get_position(): text for text in panel.texts}
    assert len(cells) == 9
    assert cells[0, 0].get_text() == ".75"
    assert cells[1, 0].get_text() == ".25"  # position 1 taken for 2
    assert cells[0, 2].get_text() == ".00"  # position 3 taken for 1
    (perfect,) = panels(order_confusion({"Demo": np.diag([2, 2])}, 0.25))
    assert perfect.texts[0].get_text() == "1.00"


def test_printed_values_stand_out_from_their_cells():
    (panel,) = panels(order_confusion({"Demo": near_diagonal(8)}, 0.25))
    picture = panel.images[0]
    weights = np.array([0.2126, 0.7152, 0.0722])
    for text in panel.texts:
        column, row = text.get_position()
        cell = picture.cmap(picture.norm(image(panel)[row, column]))[:3]
        ink, paper = (weights @ np.array(to_rgb(colour)) for colour in (text.get_color(), cell))
        assert abs(ink - paper) > 0.4


@pytest.mark.parametrize(
    ("positions", "labels"),
    [
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (9, [1, 3, 5, 7, 9]),
        (25, [1, 5, 9, 13, 17, 21, 25]),
    ],
)
def test_ticks_count_from_one(positions, labels):
    (panel,) = panels(order_confusion({"Demo": near_diagonal(positions)}, 0.25))
    for axis in (panel.xaxis, panel.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == list(map(str, labels))
        np.testing.assert_array_equal(axis.get_ticklocs(), np.array(labels) - 1)
    assert len(panel.texts) == (64 if positions == 8 else 0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("positions", [8, 30])
def test_everything_fits_and_cells_are_nearly_square(count, positions):
    names = [f"categories with long names {number}" for number in range(count)]
    figure = order_confusion(dict.fromkeys(names, near_diagonal(positions)), 0.25)
    assert len(panels(figure)) == count
    FigureCanvasAgg(figure).draw()
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])
    for panel in panels(figure):
        shown = panel.get_window_extent()
        assert 0.85 < shown.width / shown.height < 1.15


def test_same_bytes_and_counts_stay_as_they_were(tmp_path):
    counts = SMALL.copy()
    save(order_confusion({"Demo": counts}, 0.25), tmp_path / "first.png")
    save(order_confusion({"Demo": counts}, 0.25), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    np.testing.assert_array_equal(counts, SMALL)


def test_bad_input():
    with pytest.raises(InputError, match="nothing to show"):
        order_confusion({}, 0.25)
    for matrix in (SMALL[:2], SMALL[0], np.zeros((0, 3))):
        with pytest.raises(InputError, match=r"Demo: expected \(T, T\), not "):
            order_confusion({"fine": SMALL, "Demo": matrix}, 0.25)
    for matrix in (SMALL * 0, SMALL - 1):
        with pytest.raises(InputError, match="Demo: a negative count or no frames"):
            order_confusion({"fine": SMALL, "Demo": matrix}, 0.25)

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color, to_rgb

from chain.core.errors import InputError
from chain.figures.gallery import QueryRow, Retrieved, gallery
from chain.figures.style import save


def clip(value, height=12, width=12):
    """Three frames of grey levels `value`, `value` + 100 and `value` + 200."""
    levels = (value + np.array([0, 100, 200])).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (3, height, width, 3))


def query(methods=("chain", "conmh"), count=5, category="golf", value=7):
    results = {
        method: [
            Retrieved(clip(10 * place + column), f"c{column}", column, column % 2 == place)
            for column in range(count)
        ]
        for place, method in enumerate(methods)
    }
    return QueryRow(clip(value), category, results)


def strips(figure):
    """First grey level, frame colour and caption of every strip, in the order they were drawn."""
    return [
        (
            int(np.asarray(panel.images[0].get_array())[0, 0, 0]),
            panel.spines["left"].get_edgecolor(),
            panel.get_xlabel(),
        )
        for panel in figure.axes
    ]


def test_frames_marks_and_captions():
    drawn = strips(gallery([query()]))
    assert [value for value, _, _ in drawn] == [7, 0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert drawn[0][2] == "query\ngolf"
    assert same_color(drawn[0][1], "black")
    for value, colour, caption in drawn[1:]:
        place, column = divmod(value, 10)
        right = column % 2 == place
        red, green, _ = to_rgb(colour)
        assert (green > 2 * red) if right else (red > 2 * green)
        assert caption == f"{'✓' if right else '✗'} distance {column}\nc{column}"


def test_a_strip_shows_the_frames_of_its_clip_from_left_to_right():
    panel = gallery([query()]).axes[0]
    drawn = np.asarray(panel.images[0].get_array())
    assert drawn.shape == (12, 36, 3)
    np.testing.assert_array_equal(drawn[0, :, 0], np.repeat([7, 107, 207], 12))
    assert [line.get_xdata()[0] for line in panel.lines] == [11.5, 23.5]  # between the frames


def test_all_four_sides_have_the_colour():
    for panel in gallery([query()]).axes:
        sides = {panel.spines[side].get_edgecolor() for side in ("left", "right", "top", "bottom")}
        assert len(sides) == 1
        assert all(spine.get_visible() for spine in panel.spines.values())
        assert not len(panel.get_xticks()) and not len(panel.get_yticks())


def test_layout_a_block_a_query_and_a_row_a_method():
    figure = gallery([query(), query(category="run", value=9)])
    assert len(figure.axes) == 2 * 11
    boxes = [panel.get_position() for panel in figure.axes]
    first, second = boxes[:11], boxes[11:]
    assert len({box.y0 for box in first[1:6]}) == len({box.y0 for box in first[6:]}) == 1
    assert first[1].y0 > first[6].y1 > first[6].y0 > second[1].y1
    np.testing.assert_allclose([box.x0 for box in first[1:6]], [box.x0 for box in first[6:]])
    assert all(first[0].x1 < box.x0 for box in first[1:])
    assert first[6].y0 < first[0].y0 < first[1].y0  # the query, halfway down its block
    assert [text.get_text() for text in figure.texts] == ["CHAIN", "ConMH"] * 2


def test_methods_keep_the_callers_order():
    figure = gallery([query(("conmh", "chain")), query(("chain", "conmh"))])
    assert [text.get_text() for text in figure.texts] == ["ConMH", "CHAIN"] * 2


@pytest.mark.parametrize(("height", "width"), [(12, 12), (9, 16), (16, 9)])
@pytest.mark.parametrize("methods", [["chain"], ["chain", "conmh", "mcmsh"]])
def test_nothing_is_cut_or_covered(height, width, methods):
    frames = clip(50, height, width)
    found = [Retrieved(frames, "a category with a long name", 64, True)] * 5
    row = QueryRow(frames, "a category with a long name", dict.fromkeys(methods, found))
    figure = gallery([row, row])
    FigureCanvasAgg(figure).draw()
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])
    shown = figure.axes[0].get_window_extent()
    assert np.isclose(shown.width / shown.height, 3 * width / height)


def test_one_method_one_result():
    drawn = strips(gallery([query(["chain"], count=1)]))
    assert [caption for _, _, caption in drawn] == ["query\ngolf", "✓ distance 0\nc0"]


def test_a_method_may_find_fewer():
    row = query()
    shorter = QueryRow(row.frames, row.category, {**row.results, "conmh": row.results["conmh"][:2]})
    assert len(gallery([shorter]).axes) == 1 + 5 + 2


def test_long_names_and_dollars():
    row = QueryRow(clip(0), "cost $5 or $6", {"chain": [Retrieved(clip(1), "n" * 50, 3, False)]})
    drawn = strips(gallery([row]))
    assert drawn[0][2] == "query\ncost $5 or $6"
    assert drawn[1][2] == f"✗ distance 3\n{'n' * 19}…"
    assert not gallery([row]).axes[0].xaxis.label.get_parse_math()


def test_same_bytes(tmp_path):
    save(gallery([query()]), tmp_path / "first.png")
    save(gallery([query()]), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_bad_input():
    with pytest.raises(InputError, match="no queries"):
        gallery([])
    with pytest.raises(InputError, match="methods differ"):
        gallery([query(), query(["chain"])])
    with pytest.raises(InputError, match="no results"):
        gallery([query(count=0)])
    with pytest.raises(InputError, match="no results"):
        gallery([query(methods=[])])
    with pytest.raises(InputError, match="different shapes"):
        gallery([query(), QueryRow(clip(0, 9, 16), "golf", query().results)])

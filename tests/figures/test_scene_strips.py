import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from chain.core.errors import InputError
from chain.figures.scenes import NO_SCENE_COLOUR
from chain.figures.scenes import scene_strips as strips_with_cuts
from chain.figures.style import WIDTH, save
from chain.figures.tsne import COLOURS


def clips(count=1, frames=6, height=8, width=8):
    """Frames of one grey each: 20 times the clip's number plus the frame's."""
    value = 20 * np.arange(count)[:, None] + np.arange(frames)
    shape = (count, frames, height, width, 3)
    return np.broadcast_to(value[:, :, None, None, None], shape).astype(np.uint8)


def scene_strips(frames, scenes, names, cuts=None):
    return strips_with_cuts(frames, scenes, names, cuts or [None] * len(names))


def drawn(figure):
    """Grey, number and frame colour of every image, in the order they were drawn."""
    return [
        (
            int(np.asarray(panel.images[0].get_array())[0, 0, 0]),
            panel.get_xlabel(),
            panel.spines["left"].get_edgecolor(),
        )
        for panel in figure.axes
    ]


def names(figure):
    return [text.get_text() for text in figure.texts if text.get_text() not in ("time →", "scene")]


def test_a_strip_in_order_numbered_and_coloured_by_scene():
    found = drawn(scene_strips(clips(), np.array([[7, 7, -1, 2, 2, 7]]), ["run"]))
    assert [grey for grey, _, _ in found] == list(range(6))
    assert [number for _, number, _ in found] == ["1", "1", "–", "2", "2", "1"]
    for (_, _, colour), want in zip(found, [0, 0, None, 1, 1, 0], strict=True):
        assert same_color(colour, NO_SCENE_COLOUR if want is None else COLOURS[want])
    assert not any(same_color(NO_SCENE_COLOUR, colour) for colour in COLOURS)


def test_every_clip_counts_its_own_scenes():
    scenes = np.array([[3, 3, 4], [4, 9, 3]])
    figure = scene_strips(clips(2, 3), scenes, ["run", "fall"])
    assert [(grey, number) for grey, number, _ in drawn(figure)] == [
        (0, "1"),
        (1, "1"),
        (2, "2"),
        (20, "1"),
        (21, "2"),
        (22, "3"),
    ]
    assert names(figure) == ["run", "fall"]


def test_scenes_beyond_the_colours_keep_their_number():
    found = drawn(scene_strips(clips(1, 12), np.arange(12)[None], ["run"]))
    assert [number for _, number, _ in found] == [str(number) for number in range(1, 13)]
    assert same_color(found[10][2], COLOURS[0])


def test_of_many_frames_sixteen_at_even_distances():
    scenes = np.arange(31)[None] // 10
    found = drawn(scene_strips(clips(1, 31), scenes, ["run"]))
    assert [grey for grey, _, _ in found] == list(range(0, 31, 2))
    assert [number for _, number, _ in found] == ["1"] * 5 + ["2"] * 5 + ["3"] * 5 + ["4"]


def test_numbers_count_frames_that_are_not_shown():
    scenes = np.zeros((1, 31), dtype=np.int64)
    scenes[0, 1], scenes[0, 20:] = 1, 2
    assert drawn(scene_strips(clips(1, 31), scenes, ["run"]))[-1][1] == "3"


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 16), (16, 9)])
@pytest.mark.parametrize("frames", [1, 8, 16])
def test_nothing_is_cut_or_covered(height, width, frames):
    long = ["a category with a name that is far too long", "corridor-then-field", "x" * 60]
    figure = scene_strips(clips(3, frames, height, width), np.zeros((3, frames), np.int64), long)
    FigureCanvasAgg(figure).draw()
    assert figure.get_figwidth() <= WIDTH + 1e-9
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])
    shown = figure.axes[0].get_window_extent()
    assert np.isclose(shown.width / shown.height, width / height)


def cut_lines(figure):
    """The x of each line and the y of its ends, in fractions of the figure."""
    return [(line.get_xdata()[0], *sorted(line.get_ydata())) for line in figure.artists]


@pytest.mark.parametrize(
    ("frames", "cut", "after"), [(6, 2, 1), (6, 5, 4), (31, 11, 5), (31, 12, 5)]
)
def test_a_line_marks_the_true_cut(frames, cut, after):
    """It stands between the last shown frame before the cut and the first one behind it."""
    scenes = np.zeros((2, frames), np.int64)
    figure = scene_strips(clips(2, frames), scenes, ["run", "fall"], [None, cut])
    ((x, low, high),) = cut_lines(figure)
    second = figure.axes[len(figure.axes) // 2 :]
    left, right = (second[place].get_position() for place in (after, after + 1))
    assert left.x1 < x < right.x0
    assert low < left.y0 and high > left.y1
    first = figure.axes[0].get_position()
    assert high < first.y0
    assert any("true cut" in text.get_text() for text in figure.texts)


def test_without_a_known_cut_there_is_no_line():
    figure = scene_strips(clips(2), np.zeros((2, 6), np.int64), ["run", "fall"])
    assert not cut_lines(figure)
    assert not any("cut" in text.get_text() for text in figure.texts)


def test_long_names_and_dollars():
    figure = scene_strips(clips(2), np.zeros((2, 6), np.int64), ["$5 or $6", "long " * 20])
    first, second = names(figure)
    assert first == "$5 or $6"
    assert not next(text for text in figure.texts if text.get_text() == first).get_parse_math()
    assert second == "long long long\nlong long long…"


def test_same_bytes(tmp_path):
    for name in ("first.png", "second.png"):
        save(scene_strips(clips(2), np.zeros((2, 6), np.int64), ["a", "b"]), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_bad_input():
    scenes = np.zeros((1, 6), np.int64)
    for frames in (clips()[0], clips()[..., :2], clips().astype(float), clips(0), clips(1, 0)):
        with pytest.raises(InputError, match="frames must be"):
            scene_strips(frames, scenes, ["run"])
    with pytest.raises(
        InputError, match=r"1 names, 1 cuts and scenes \(1, 5\) for 1 clips of 6 frames"
    ):
        scene_strips(clips(), scenes[:, :5], ["run"])
    with pytest.raises(InputError, match="2 names"):
        scene_strips(clips(), scenes, ["run", "fall"])
    with pytest.raises(InputError, match="2 cuts"):
        scene_strips(clips(), scenes, ["run"], [None, 3])

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from threadpoolctl import threadpool_limits

from chain.core.errors import InputError
from chain.figures.style import save
from chain.figures.tsne import first_categories, tsne_embedding, tsne_panels


def clusters(categories=3, each=15, bits=32, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.choice(np.array([-1, 1], dtype=np.int8), (categories, bits))
    labels = np.repeat(np.arange(categories), each)
    flips = rng.random((len(labels), bits)) < noise
    return np.where(flips, -centres[labels], centres[labels]).astype(np.int8), labels


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def points(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


def test_codes_of_a_category_land_together():
    signs, labels = clusters()
    embedding = tsne_embedding(signs, seed=0)
    assert embedding.shape == (45, 2)
    assert np.isfinite(embedding).all()
    distances = np.linalg.norm(embedding[:, None] - embedding[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


def test_same_numbers_on_every_run_and_number_of_threads():
    signs, _ = clusters()
    first = tsne_embedding(signs, seed=0)
    with threadpool_limits(limits=4):
        second = tsne_embedding(signs, seed=0)
    np.testing.assert_array_equal(first, second)


def test_flipping_every_bit_of_a_column_changes_no_distance_and_so_little():
    signs, labels = clusters()
    flipped = signs.copy()
    flipped[:, ::2] *= -1
    embedding = tsne_embedding(flipped, seed=0)
    distances = np.linalg.norm(embedding[:, None] - embedding[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


def test_duplicates_are_fine():
    signs, _ = clusters(each=6)
    signs[6:12] = signs[6]
    assert np.isfinite(tsne_embedding(signs, seed=0)).all()


def test_a_collapsed_method_is_one_point():
    signs = np.ones((9, 16), dtype=np.int8)
    np.testing.assert_array_equal(tsne_embedding(signs, seed=0), np.zeros((9, 2)))


def test_as_few_as_four_codes_and_no_fewer():
    signs, _ = clusters(categories=2, each=2, noise=0.3)
    assert np.isfinite(tsne_embedding(signs, seed=0)).all()
    for bad in (signs[:3], signs[0]):
        with pytest.raises(InputError, match="N at least 4"):
            tsne_embedding(bad, seed=0)


def test_first_categories():
    assert first_categories(["b", "c", "a", "b"], 2) == ["a", "b"]
    assert first_categories(["a"], 10) == ["a"]


def test_panels_side_by_side_show_the_first_categories_only():
    names = [f"category {number:02d}" for number in range(12)] * 3
    figure = tsne_panels({"chain": (points(36), names), "conmh": (points(36, 1), names)})
    assert [panel.get_title() for panel in figure.axes] == ["CHAIN", "ConMH"]
    assert legend(figure) == [f"category {number:02d}" for number in range(10)]
    for panel, seed in zip(figure.axes, (0, 1), strict=True):
        assert len(panel.lines) == 10
        assert not len(panel.get_xticks()) and not len(panel.get_yticks())
        drawn = panel.lines[4].get_xydata()
        np.testing.assert_array_equal(drawn, points(36, seed)[[4, 16, 28]])
    looks = {(one.get_color(), one.get_marker()) for one in figure.axes[0].lines}
    assert len(looks) == 10
    left, right = figure.axes
    same = [a.get_color() == b.get_color() for a, b in zip(left.lines, right.lines, strict=True)]
    assert all(same)


def test_a_hundred_categories_look_different():
    names = [f"{number:03d}" for number in range(100)]
    figure = tsne_panels({"chain": (points(100), names)}, categories=100)
    looks = {(one.get_color(), one.get_marker()) for one in figure.axes[0].lines}
    assert len(looks) == 100


@pytest.mark.parametrize("name", ["x", "$_^{not maths", "a name so long that it never ends at all"])
@pytest.mark.parametrize("methods", [["chain"], ["chain", "conmh", "lsh"]])
def test_legend_fits_below_the_panels(name, methods):
    names = [f"{number} {name}" for number in range(10)]
    figure = tsne_panels({method: (points(10), names) for method in methods})
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= -1
    for panel in figure.axes:
        assert not box.overlaps(panel.get_window_extent())
        assert panel.get_window_extent().height > 200
    assert all(len(text) <= 28 for text in legend(figure))


def test_one_category_and_a_method_without_it():
    figure = tsne_panels(
        {"chain": (points(4), ["a"] * 4), "conmh": (points(4), ["b"] * 4)}, categories=1
    )
    assert legend(figure) == ["a"]
    assert [len(panel.lines[0].get_xdata()) for panel in figure.axes] == [4, 0]


def test_same_bytes(tmp_path):
    panels = {"chain": (points(20), ["a", "b"] * 10)}
    save(tsne_panels(panels), tmp_path / "first.png")
    save(tsne_panels(panels), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_bad_input():
    with pytest.raises(InputError, match="nothing to show"):
        tsne_panels({})
    with pytest.raises(InputError, match="nothing to show"):
        tsne_panels({"chain": (np.empty((0, 2), dtype=np.float32), [])})
    with pytest.raises(InputError, match="chain: 2 names for points"):
        tsne_panels({"chain": (points(3), ["a", "b"])})

from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.demo import DemoConfig, render, rendering
from chain.datasets.demo.categories import CATEGORIES, Category
from chain.datasets.demo.drawing import draw_clip

CONFIG = DemoConfig(clips_per_category=6, size=48)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[Category, ...]:
    """One single category and the two of a pair."""
    few = (CATEGORIES[0], *CATEGORIES[-2:])
    monkeypatch.setattr(rendering, "CATEGORIES", few)
    return few


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_do_not_depend_on_the_number_of_workers(
    few: tuple[Category, ...], tmp_path: Path
) -> None:
    one = render(CONFIG, tmp_path / "one", workers=1)
    two = render(CONFIG, tmp_path / "two", workers=2)
    pd.testing.assert_frame_equal(one, two)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == len(one) == 18
    other = render(CONFIG.model_copy(update={"seed": 1}), tmp_path / "other", workers=1)
    assert not set(one.sha256) & set(other.sha256)
    assert one.sha256.is_unique


def test_manifest_tells_of_the_files(few: tuple[Category, ...], tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"clips_per_category": 12})
    manifest = render(config, tmp_path, workers=1)
    assert list(manifest) == ["id", "path", "bytes", "sha256", "labels", "split"]
    assert manifest.id.is_monotonic_increasing and manifest.id.is_unique
    assert (manifest.path == manifest.id + ".mp4").all()
    assert (manifest.labels == manifest.id.str.split("/").str[0]).all()
    assert set(manifest.path) == set(files(tmp_path))
    counts = manifest.groupby(["labels", "split"]).size().unstack()
    assert set(manifest.labels) == {category.name for category in few}
    for split, count in {"train": 6, "database": 4, "query": 2}.items():
        assert (counts[split] == count).all()
    for row in manifest.itertuples():
        assert len((tmp_path / row.path).read_bytes()) == row.bytes


def test_files_decode_to_what_was_drawn(few: tuple[Category, ...], tmp_path: Path) -> None:
    manifest = render(CONFIG, tmp_path, workers=1)
    for path in manifest.path:
        with av.open(str(tmp_path / path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.average_rate == CONFIG.fps
            frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(stream)])
            assert 2 <= float(stream.duration * stream.time_base) <= 4
        index, clip = next(
            (i, int(path[-7:-4])) for i, c in enumerate(few) if path.startswith(c.name)
        )
        rng = np.random.default_rng(np.random.SeedSequence([0, index, clip]))
        expected = draw_clip(few[index], CONFIG.size, CONFIG.fps, rng)
        assert frames.shape == expected.shape
        assert np.abs(frames.astype(int) - expected).mean() < 10


def test_a_killed_render_goes_on(
    few: tuple[Category, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "demo", tmp_path / "other"
    manifest = render(CONFIG, folder, workers=1)
    whole = files(folder)
    (folder / manifest.path[0]).unlink()
    (folder / manifest.path[1]).write_bytes(b"not a clip")
    render(CONFIG.model_copy(update={"seed": 1}), other, workers=1)
    (other / manifest.path[2]).replace(folder / manifest.path[2])
    (folder / manifest.path[0]).with_name(".000.1.partial.mp4").write_bytes(b"half a clip")
    draw = Mock(wraps=draw_clip)
    monkeypatch.setattr(rendering, "draw_clip", draw)
    pd.testing.assert_frame_equal(render(CONFIG, folder, workers=1), manifest)
    assert draw.call_count == 3
    assert files(folder) == whole


@pytest.mark.parametrize(
    "bad",
    [
        {"clips_per_category": 7},
        {"clips_per_category": 0},
        {"size": 130},
        {"size": 16},
        {"fps": 0},
        {"seed": -1},
        {"frames": 3},
    ],
)
def test_bad_config_is_told_in_one_line(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match=rf"^params\.yaml: demo\.{next(iter(bad))}: .+$"):
        parse(DemoConfig, bad, "demo")


def test_bad_workers_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^workers: must be at least 1, got 0$"):
        render(CONFIG, tmp_path, workers=0)

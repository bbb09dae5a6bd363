from collections import Counter
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets import demo

CONFIG = demo.DemoConfig(clips_per_category=6, size=48)
TWINS = [category for category in demo.CATEGORIES if category.flipped]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[demo.Category, ...]:
    """One single category and the two of a pair."""
    few = (demo.CATEGORIES[0], *demo.CATEGORIES[-2:])
    monkeypatch.setattr(demo, "CATEGORIES", few)
    return few


def named(name: str) -> demo.Category:
    return next(category for category in demo.CATEGORIES if category.name == name)


def drawn(category: demo.Category, seed: int = 0) -> np.ndarray:
    return demo.draw_clip(category, CONFIG, np.random.default_rng(seed))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def cut_between(first: np.ndarray, second: np.ndarray) -> int:
    """The one place where `second` is `first` with its two parts swapped."""
    cuts = [
        cut
        for cut in range(1, len(first))
        if np.array_equal(second, np.concatenate([first[cut:], first[:cut]]))
    ]
    assert len(cuts) == 1
    return cuts[0]


def test_categories_are_distinct_and_pairs_are_mutual() -> None:
    names = [category.name for category in demo.CATEGORIES]
    assert len(set(names)) == len(names) == 24
    assert len({(c.shots, c.flipped) for c in demo.CATEGORIES}) == 24
    assert len(TWINS) == 8
    assert sum(len(twin.shots) == 2 for twin in TWINS) == 4
    for twin in TWINS:
        assert named(twin.pair).pair == twin.name
        assert named(twin.pair).shots == twin.shots
        assert not named(twin.pair).flipped


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_two_of_a_pair_differ_in_temporal_order_only(twin: demo.Category, seed: int) -> None:
    first, second = drawn(named(twin.pair), seed), drawn(twin, seed)
    assert not np.array_equal(first, second)
    assert Counter(f.tobytes() for f in first) == Counter(f.tobytes() for f in second)
    if len(twin.shots) == 1:
        np.testing.assert_array_equal(second, first[::-1])
    else:
        cut = cut_between(first, second)
        assert 0.3 - 0.5 / len(first) <= cut / len(first) <= 0.7 + 0.5 / len(first)


def test_a_disc_rises_and_its_twin_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """In screen rows, of the pixels that differ from the frame without the disc."""
    for constant in ("SCENE_SWAP", "SUBJECT_SWAP", "RECUT", "SHAKE", "CAMERA", "GRAIN"):
        monkeypatch.setattr(demo, constant, 0.0)
    monkeypatch.setattr(demo, "CLUTTER", 0)
    for name, empty, sign in (("disc-rising", 0, -1), ("disc-falling", -1, 1)):
        clip = drawn(named(name)).astype(int)
        moved = np.abs(clip - clip[empty]).sum(axis=3) > 60  # (T, S, S)
        rows = np.arange(CONFIG.size)[None, :, None]
        seen = [i for i in range(len(clip)) if moved[i].sum() > 20]
        height = [(moved[[i]] * rows).sum() / moved[i].sum() for i in (seen[0], seen[-1])]
        assert sign * (height[1] - height[0]) > CONFIG.size / 4


@pytest.mark.parametrize("category", demo.CATEGORIES, ids=lambda category: category.name)
def test_every_category_draws_moving_pictures(category: demo.Category) -> None:
    clip = drawn(category)
    assert clip.dtype == np.uint8
    assert clip.shape[1:] == (48, 48, 3)
    assert 2 <= len(clip) / CONFIG.fps <= 4
    assert clip.std() > 10
    assert all((a != b).any() for a, b in pairwise(clip))
    assert clip.shape != drawn(category, seed=1).shape or (clip != drawn(category, seed=1)).any()


def test_files_do_not_depend_on_the_number_of_workers(
    few: tuple[demo.Category, ...], tmp_path: Path
) -> None:
    one = demo.render(CONFIG, tmp_path / "one", workers=1)
    two = demo.render(CONFIG, tmp_path / "two", workers=2)
    pd.testing.assert_frame_equal(one, two)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == len(one) == 18
    other = demo.render(CONFIG.model_copy(update={"seed": 1}), tmp_path / "other", workers=1)
    assert not set(one.sha256) & set(other.sha256)
    assert one.sha256.is_unique


def test_manifest_tells_of_the_files(few: tuple[demo.Category, ...], tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"clips_per_category": 12})
    manifest = demo.render(config, tmp_path, workers=1)
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


def test_files_decode_to_what_was_drawn(few: tuple[demo.Category, ...], tmp_path: Path) -> None:
    manifest = demo.render(CONFIG, tmp_path, workers=1)
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
        expected = demo.draw_clip(few[index], CONFIG, rng)
        assert frames.shape == expected.shape
        assert np.abs(frames.astype(int) - expected).mean() < 10


def test_a_killed_render_goes_on(
    few: tuple[demo.Category, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "demo", tmp_path / "other"
    manifest = demo.render(CONFIG, folder, workers=1)
    whole = files(folder)
    (folder / manifest.path[0]).unlink()
    (folder / manifest.path[1]).write_bytes(b"not a clip")
    demo.render(CONFIG.model_copy(update={"seed": 1}), other, workers=1)
    (other / manifest.path[2]).replace(folder / manifest.path[2])
    (folder / manifest.path[0]).with_name(".000.1.partial.mp4").write_bytes(b"half a clip")
    draw = Mock(wraps=demo.draw_clip)
    monkeypatch.setattr(demo, "draw_clip", draw)
    pd.testing.assert_frame_equal(demo.render(CONFIG, folder, workers=1), manifest)
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
        parse(demo.DemoConfig, bad, "demo")


def test_bad_workers_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^workers: must be at least 1, got 0$"):
        demo.render(CONFIG, tmp_path, workers=0)

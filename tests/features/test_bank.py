import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chain.backbones.networks import Backbone, BackboneConfig
from chain.core.errors import InputError
from chain.features import bank
from chain.features.augmentation import (
    Augmentation,
    AugmentConfig,
    Spatial,
    apply,
    draw,
    resize,
    to_images,
)
from chain.features.bank import (
    AHEAD,
    BankConfig,
    FeatureExtractor,
    clip_features,
    extract,
    view_augmentations,
)

AUGMENT = AugmentConfig(
    crop_scale=0.4,
    flip=0.5,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey=0.1,
    blur=0.3,
)
BANK = BankConfig(views=2, seed=3, spatial=["consistent", "per_frame", "none"])
TRAIN = np.array([1, 4, 5, 8])
IDS = [f"clip{number}" for number in range(9)]
FRAMES = np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8, 3), dtype=np.uint8)


class KilledError(Exception):
    pass


class Means(FeatureExtractor):
    """Mean colours in place of a network, and an end after a number of calls."""

    def __init__(self, calls: float = np.inf) -> None:
        self.left = calls
        self.size, self.device = 8, torch.device("cpu")
        self.backbone = SimpleNamespace(
            mean=torch.zeros(3, 1, 1), std=torch.ones(3, 1, 1), network=self.means
        )

    def means(self, images: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise KilledError
        return images.mean(dim=(2, 3))


class Recorded(Means):
    """What it was asked to do, in order; preparing fails after a number of times."""

    def __init__(self, prepared: float = np.inf) -> None:
        super().__init__()
        self.done: list[str] = []
        self.prepared = prepared

    def prepare(
        self, frames: NDArray[np.uint8], augmentation: Augmentation | None = None
    ) -> torch.Tensor:
        if self.done.count("prepare") == self.prepared:
            raise KilledError
        self.done.append("prepare")
        return super().prepare(frames, augmentation)

    def features(self, prepared: torch.Tensor) -> NDArray[np.float16]:
        self.done.append("features")
        time.sleep(0.01)  # long enough to prepare what may be prepared
        return super().features(prepared)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """The files of a run that nothing interrupted."""
    folder = tmp_path / "whole"
    folder.mkdir()
    extract(Means(), FRAMES, IDS, TRAIN, BANK, AUGMENT, folder)
    return written(folder)


def test_arrays_hold_each_view_of_each_clip(tmp_path: Path) -> None:
    arrays = extract(Means(), FRAMES, IDS, TRAIN, BANK, AUGMENT, tmp_path)
    assert set(arrays) == {"clean", "bank_consistent", "bank_per_frame"}
    assert arrays["clean"].shape == (9, 3, 3) and arrays["clean"].dtype == np.float16
    assert arrays["bank_consistent"].shape == (4, 2, 3, 3)
    one = Means()
    for clip in range(9):
        assert (arrays["clean"][clip] == one(FRAMES[clip])).all()
    for kind in ("consistent", "per_frame"):
        for row, clip in enumerate(TRAIN):
            drawn = view_augmentations(IDS[clip], 2, 3, kind, AUGMENT, seed=3)
            for view in range(2):
                rows = slice(3 * view, 3 * view + 3)
                own = Augmentation(drawn.crop[rows], drawn.colour[rows], drawn.sigma[rows])
                expected = one(FRAMES[clip], own)
                np.testing.assert_allclose(arrays[f"bank_{kind}"][row, view], expected, atol=1e-3)
    for name, array in arrays.items():
        assert (np.load(tmp_path / f"{name}.npy") == array).all()


@pytest.mark.parametrize("cores", [1, 99])  # in turn, and prepared ahead
@pytest.mark.parametrize("calls", [0, 2, 6, 9, 17])
def test_a_killed_run_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes], calls: int, cores: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(bank, "CLIPS_BETWEEN_CHECKPOINTS", 2)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(KilledError):
        extract(Means(calls), FRAMES, IDS, TRAIN, BANK, AUGMENT, scratch)
    again = Means(1000)
    extract(again, FRAMES, IDS, TRAIN, BANK, AUGMENT, scratch)
    assert written(scratch) == whole
    all_calls = 1 + 9 + 4 * 2  # the width; each clip clean; its two banks
    if calls > 6:  # far enough for a checkpoint: not all was done again
        assert 1000 - again.left < all_calls


@pytest.mark.parametrize("cores", [1, 99])
def test_a_run_that_fails_to_prepare_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes], cores: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(bank, "CLIPS_BETWEEN_CHECKPOINTS", 2)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(KilledError):
        extract(Recorded(prepared=12), FRAMES, IDS, TRAIN, BANK, AUGMENT, scratch)
    again = Recorded()
    extract(again, FRAMES, IDS, TRAIN, BANK, AUGMENT, scratch)
    assert written(scratch) == whole
    assert again.done.count("features") < 1 + 9 + 4 * 2


@pytest.mark.parametrize(("cores", "least", "most"), [(99, 2, AHEAD + 1), (1, 1, 1)])
def test_few_batches_are_prepared_ahead_and_none_without_a_core(
    monkeypatch: pytest.MonkeyPatch, cores: int, least: int, most: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    extractor = Recorded()
    for _ in clip_features(range(9), extractor, FRAMES, IDS, TRAIN, BANK, AUGMENT):
        pass
    kinds = [{"prepare": 1, "features": -1}[what] for what in extractor.done]
    waiting = np.cumsum(kinds)
    assert len(kinds) == 2 * (9 + 4 * 2)
    assert waiting.min() >= 0 and least <= waiting.max() <= most


def test_an_array_cut_short_by_a_kill_is_made_again(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "clean.npy").write_bytes(b"\x93NUMPY")
    extract(Means(), FRAMES, IDS, TRAIN, BANK, AUGMENT, scratch)
    assert written(scratch) == whole


def test_without_kinds_of_draw_there_is_no_bank(tmp_path: Path) -> None:
    only_clean = BankConfig(views=2, seed=0, spatial=["none"])
    assert set(extract(Means(), FRAMES, IDS, TRAIN, only_clean, AUGMENT, tmp_path)) == {"clean"}


def test_draws_depend_on_clip_and_seed_alone() -> None:
    def crops(clip: str, seed: int = 0) -> torch.Tensor:
        return view_augmentations(clip, 2, 4, "consistent", AUGMENT, seed).crop

    first = crops("a/5")
    crops("a/6")
    torch.manual_seed(9)
    assert torch.equal(crops("a/5"), first)
    assert not torch.equal(crops("a/6"), first) and not torch.equal(crops("a/5", seed=6), first)


def test_consistent_views_share_one_draw_and_per_frame_ones_do_not() -> None:
    consistent = view_augmentations("0", 2, 4, "consistent", AUGMENT, 0).crop
    apart = view_augmentations("0", 2, 4, "per_frame", AUGMENT, 0).crop
    assert len(consistent) == len(apart) == 8
    assert (consistent[:4] == consistent[0]).all() and (consistent[4:] == consistent[4]).all()
    assert len(consistent.unique(dim=0)) == 2 and len(apart.unique(dim=0)) == 8


def drawn(kind: Spatial, views: int = 300, frames: int = 1) -> Augmentation:
    return view_augmentations("7", views, frames, kind, AUGMENT, 3)


def test_the_draw_of_a_clip_follows_from_its_id_and_the_seed() -> None:
    number = int(hashlib.sha256(b"7").hexdigest()[:16], 16)
    entropy = np.random.SeedSequence([3, number]).generate_state(1, np.uint64)[0]

    def fresh() -> torch.Generator:
        return torch.Generator().manual_seed(int(entropy >> 1))

    expected: dict[Spatial, Augmentation] = {
        "consistent": draw(2, AUGMENT, fresh()).repeat(4),
        "per_frame": draw(8, AUGMENT, fresh()),
    }
    for kind, one in expected.items():
        assert all(torch.equal(vars(one)[k], v) for k, v in vars(drawn(kind, 2, 4)).items())


@pytest.mark.parametrize("kind", ["weak", "strong"])
def test_weak_and_strong_views_are_consistent(kind: Spatial) -> None:
    views = drawn(kind, 2, 4)
    for part in vars(views).values():
        assert len(part) == 8
        assert (part[:4] == part[0]).all() and (part[4:] == part[4]).all()
    assert len(views.crop.unique(dim=0)) == 2


@pytest.mark.parametrize(("kind", "strength"), [("weak", 0.5), ("strong", 1.5)])
def test_weak_and_strong_draws_are_consistent_ones_made_narrower_and_wider(
    kind: Spatial, strength: float
) -> None:
    own, other = drawn("consistent"), drawn(kind)
    ours, theirs = own.crop, other.crop
    assert torch.equal(ours[:, 2] < 0, theirs[:, 2] < 0)  # the same flips
    half, their_half = ours[:, 2:].abs(), theirs[:, 2:].abs()
    assert (half < 1).any(dim=0).all()
    whole = ((half < 1) & (their_half < 1)).all(dim=1)  # no side met the image's edge
    assert whole.sum() > 50
    lost, theirs_lost = (1 - h[whole].prod(dim=1) for h in (half, their_half))
    torch.testing.assert_close(theirs_lost, strength * lost, atol=1e-5, rtol=0)
    shape, their_shape = (h[whole, 0] / h[whole, 1] for h in (half, their_half))
    torch.testing.assert_close(their_shape, shape)
    room, their_room = (
        ours[whole, :2] / (1 - half[whole]),
        theirs[whole, :2] / (1 - their_half[whole]),
    )
    torch.testing.assert_close(their_room, room, atol=1e-3, rtol=1e-3)  # the same way off centre
    narrow, wide = sorted([half, their_half], key=lambda h: -float(h.sum()))
    assert (wide <= narrow + 1e-6).all()

    spread = (own.colour - torch.eye(3, 4)).std(dim=0)
    their_spread = (other.colour - torch.eye(3, 4)).std(dim=0)
    assert ((their_spread > spread) == (strength > 1)).all()


def test_banks_of_weak_and_strong_views(tmp_path: Path, whole: dict[str, bytes]) -> None:
    kinds = BankConfig(views=2, seed=3, spatial=["weak", "consistent", "strong"])
    arrays = extract(Means(), FRAMES, IDS, TRAIN, kinds, AUGMENT, tmp_path)
    assert set(arrays) == {"clean", "bank_weak", "bank_consistent", "bank_strong"}
    assert written(tmp_path)["bank_consistent.npy"] == whole["bank_consistent.npy"]
    clean = arrays["clean"][TRAIN][:, None].astype(float)
    change = {
        k: np.abs(arrays[f"bank_{k}"] - clean).mean() for k in ("weak", "consistent", "strong")
    }
    assert 0 < change["weak"] < change["consistent"] < change["strong"]


def test_augmentation_too_strong_for_a_strong_bank(tmp_path: Path) -> None:
    strong = BankConfig(views=1, seed=0, spatial=["strong"])
    wide = AUGMENT.model_copy(update={"contrast": 0.8})
    with pytest.raises(InputError, match=r"augment, 1.5 times as strong.contrast: .*less than 1"):
        extract(Means(), FRAMES, IDS, TRAIN, strong, wide, tmp_path)


def test_a_clip_has_the_same_views_whichever_others_are_for_training(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    extract(Means(), FRAMES, IDS, TRAIN[[2]], BANK, AUGMENT, tmp_path)
    alone = np.load(tmp_path / "bank_consistent.npy")
    assert (alone[0] == np.load(tmp_path / "whole" / "bank_consistent.npy")[2]).all()


class Seen(FeatureExtractor):
    """A small CNN that notes how many batches it has seen."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        backbone = Backbone(
            BackboneConfig(
                name="squeezenet1_1", weights="pretrain", size=32, mean=[0.5] * 3, std=[0.2] * 3
            )
        )
        super().__init__(backbone.eval(), 32, torch.device("cpu"))
        self.batches = 0

    def features(self, prepared: torch.Tensor) -> NDArray[np.float16]:
        self.batches += 1
        return super().features(prepared)


CLIPS = np.random.default_rng(0).integers(0, 256, (9, 3, 40, 40, 3), dtype=np.uint8)


def run(folder: Path, rows: list[int], train: list[int], **changes: Any) -> int:
    """Extract the features of some CLIPS; returns how many batches the CNN has seen."""
    extractor = changes.get("extractor") or Seen()
    folder.mkdir()
    names = [changes.get("names", IDS)[row] for row in rows]
    trained = np.array([rows.index(row) for row in train])
    config, augment = changes.get("bank", BANK), changes.get("augment", AUGMENT)
    extract(
        extractor, CLIPS[rows], names, trained, config, augment, folder, keep_as=changes.get("name")
    )
    return extractor.batches - 1  # the first tells the width


def test_features_of_unchanged_clips_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips are added and removed; the bytes are those of a run from nothing."""
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "first", [0, 1, 2, 3, 4, 5], [1, 3, 5], name="tiny") == 6 + 2 * 3
    new, train = [8, 1, 2, 4, 5, 7], [8, 5, 2]
    # 7 and 8 are new, and 2 was not for training before.
    assert run(tmp_path / "second", new, train, name="tiny") == 3 + 2 * 2
    assert run(tmp_path / "fresh", new, train) == 6 + 2 * 3
    assert written(tmp_path / "second") == written(tmp_path / "fresh")
    assert run(tmp_path / "third", [1, 2, 5], [5], name="tiny") == 0
    run(tmp_path / "fresh third", [1, 2, 5], [5])
    assert written(tmp_path / "third") == written(tmp_path / "fresh third")


@pytest.mark.parametrize(
    "change",
    [
        {"bank": BANK.model_copy(update={"seed": 4})},
        {"bank": BANK.model_copy(update={"views": 3})},
        {"augment": AUGMENT.model_copy(update={"blur": 0.4})},
        {"names": [f"{name}b" for name in IDS]},
        {"extractor": Seen(1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_features_made_otherwise_are_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "first", [0, 1], [1], name="tiny") == 2 + 2
    assert run(tmp_path / "second", [0, 1], [1], name="tiny", **change) == 2 + 2


def test_a_killed_run_with_kept_clips_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bank, "CLIPS_BETWEEN_CHECKPOINTS", 2)
    run(tmp_path / "first", [0, 2, 4, 6], [2, 4], name="tiny")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    everything = (CLIPS, IDS, TRAIN, BANK, AUGMENT, scratch)

    def killed(clips: Iterable[int], *arguments: Any) -> Iterator[Any]:
        yield from clip_features(list(clips)[:2], *arguments)
        raise KilledError

    with pytest.raises(KilledError):
        extract(Seen(), *everything, killed, "tiny")
    shutil.rmtree(".kept")  # what was taken over stays
    extract(Seen(), *everything, keep_as="tiny")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    extract(Seen(), *everything[:-1], fresh)
    assert written(scratch) == written(fresh)


def test_extractor_resizes_or_augments_then_runs_the_backbone() -> None:
    torch.manual_seed(0)
    config = BackboneConfig(
        name="mobilenet_v3_small", weights="pretrain", size=32, mean=[0.5] * 3, std=[0.25] * 3
    )
    backbone = Backbone(config).eval()
    extractor = FeatureExtractor(backbone, 32, torch.device("cpu"))
    frames = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    frames.setflags(write=False)  # as a memory map is
    images = to_images(frames)
    drawn = view_augmentations("0", 3, 2, "per_frame", AUGMENT, 0)
    with torch.inference_mode():
        clean = backbone(resize(images, 32))
        augmented = backbone(apply(images.repeat(3, 1, 1, 1), drawn, 32))
    got = extractor(frames)
    assert got.shape == (2, 1024) and got.dtype == np.float16
    np.testing.assert_array_equal(got, clean.numpy().astype(np.float16))
    np.testing.assert_array_equal(extractor(frames, drawn), augmented.numpy().astype(np.float16))


@pytest.mark.parametrize("name", ["clean", "bank_per_frame"])
def test_features_that_are_not_finite_are_refused_by_the_clip_s_name(
    tmp_path: Path, name: str
) -> None:
    def compute(clips: Iterable[int], *arguments: Any) -> Iterator[Any]:
        for clip, found in zip(clips, clip_features(clips, *arguments), strict=True):
            if clip == 4:
                found[name][..., -1] = np.inf
            yield found

    with pytest.raises(InputError, match=r"^clip4: its features are not finite"):
        extract(Means(), FRAMES, IDS, TRAIN, BANK, AUGMENT, tmp_path, compute)

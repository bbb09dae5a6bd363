"""Decoding and features by Ray against those of this process; one of two workers is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chain.backbones.networks import Backbone, BackboneConfig
from chain.core.errors import InputError
from chain.datasets.manifest import COLUMNS
from chain.engines import ray_data
from chain.features import bank
from chain.features.augmentation import AugmentConfig
from chain.features.bank import BankConfig, FeatureExtractor, extract
from chain.features.engine import feature_computer
from chain.video import pack
from chain.video.engine import decoder
from chain.video.pack import DecodeConfig, pack_frames

pytestmark = [
    pytest.mark.skipif(not find_spec("ray"), reason="Ray is optional: requirements-scale.txt"),
    pytest.mark.slow,
]

ROOT = Path(__file__).parents[2]
THREADS = {"engine": "threads"}
RAY = {"engine": "ray", "workers": 2}
CLIPS = 16
DECODE = DecodeConfig(frames=4, size=16, max_bad=0.5)
BANK = BankConfig(views=1, seed=3, spatial=["consistent", "per_frame"])
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
TRAIN = np.arange(1, CLIPS, 3)
BACKBONE = BackboneConfig(
    name="mobilenet_v3_small", weights="none", size=32, mean=[0.5] * 3, std=[0.5] * 3
)


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_data.cluster(2) as connected:
            yield connected


@pytest.fixture(autouse=True)
def one_clip_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a worker killed at the first clip has much left to do."""
    monkeypatch.setattr(ray_data, "CLIPS_AT_ONCE", 1)
    monkeypatch.setattr(ray_data, "BYTES_WAITING", 2**14)


def descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [each for child in map(int, children) for each in (child, *descendants(child))]


def command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def actors() -> list[int]:
    """The processes of this process's actors."""
    found = descendants(os.getpid())
    return [process for process in found if command(process).startswith(b"ray::MapWorker")]


def listening(process: int) -> set[str]:
    """The addresses that a process listens to over IPv4 and IPv6, in hexadecimal."""
    own = {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[1].partition(":")[0])
    return found


def killing(outcomes: Iterator[Any]) -> Iterator[Any]:
    """The same; one of the workers is killed after the first, when few others are computed."""
    yield next(outcomes)
    victim = min(actors())
    os.kill(victim, signal.SIGKILL)
    yield from outcomes
    assert victim not in actors()


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def root(tmp_path: Path, grey_clip: Callable[..., Path]) -> Path:
    for number in range(CLIPS):
        levels = [20 + 10 * number + step for step in range(2 + number)]
        grey_clip(tmp_path / "clips" / f"{number:03d}.avi", levels)
    return tmp_path / "clips"


def manifest_of(root: Path) -> pd.DataFrame:
    rows = [(path.stem, path.name, 1, "0" * 64, "a", "01") for path in sorted(root.glob("*.avi"))]
    return pd.DataFrame(rows, columns=COLUMNS)


def packed(root: Path, out: Path, decode: pack.Decode) -> dict[str, bytes]:
    """What is written with a broken clip among them."""
    (root / "003.avi").write_bytes(b"")
    scratch = out.with_name(f"{out.name}_scratch")
    scratch.mkdir()
    pack_frames(manifest_of(root), root, out, DECODE, 2, scratch, decode)
    return content_of(out)


def test_own_cluster_listens_to_this_machine_alone() -> None:
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    heard = set().union(*map(listening, descendants(os.getpid())))
    assert heard and heard <= loopback


def test_own_cluster_sends_no_telemetry(ray: Any) -> None:
    """Releases of Ray switch it off in `ray.init`; this fails if one does not."""
    log = Path("/tmp/ray", ray.get_runtime_context().get_session_name(), "logs", "dashboard.log")
    deadline = time.monotonic() + 20
    while "Usage reporting is" not in (text := log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "Usage reporting is disabled" in text


def test_decoding_with_a_worker_killed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def decode(*arguments: Any) -> Iterator[Any]:
        return killing(decoder(RAY)(*arguments))

    expected = packed(root, tmp_path / "threads", decoder(THREADS))
    assert packed(root, tmp_path / "ray", decode) == expected
    assert b"003.avi,cannot be opened: Invalid data" in expected["report.csv"]
    assert "A worker died or was killed" in capsys.readouterr().out


def extracted(folder: Path, compute: bank.Compute) -> dict[str, bytes]:
    """Features of random frames by a CNN with random weights, and its number of threads."""

    class Telling(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            threads = images.new_full((len(images), 1), torch.get_num_threads())
            return torch.cat([self.network(images), threads], dim=1)

    folder.mkdir()
    random = np.random.default_rng(0)
    np.save(folder / "in.npy", random.integers(0, 256, (CLIPS, 3, 40, 40, 3), dtype=np.uint8))
    torch.manual_seed(0)
    backbone = Backbone(BACKBONE).eval()
    backbone.network = Telling(backbone.network)
    extractor = FeatureExtractor(backbone, 32, torch.device("cpu"))
    frames = np.load(folder / "in.npy", mmap_mode="r")
    ids = [f"clip{number}" for number in range(CLIPS)]
    extract(extractor, frames, ids, TRAIN, BANK, AUGMENT, folder, compute)
    return content_of(folder)


def test_features_with_a_worker_killed(tmp_path: Path) -> None:
    def compute(*arguments: Any) -> Iterator[Any]:
        return killing(feature_computer(RAY)(*arguments))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = extracted(tmp_path / "threads", feature_computer(THREADS))
        assert extracted(tmp_path / "ray", compute) == expected
    finally:
        torch.set_num_threads(before)
    assert {"clean.npy", "bank_consistent.npy", "bank_per_frame.npy"} < expected.keys()


def test_features_of_no_clips() -> None:
    """A run that was killed after the last clip."""
    assert list(ray_data.computed_by_ray(iter, [], 2)) == []


def test_an_exception_in_a_worker_is_raised_as_it_is() -> None:
    def work(clips: list[int]) -> Iterator[int]:
        for clip in clips:
            if clip == 5:
                raise InputError("one line")
            yield clip

    outcomes = ray_data.computed_by_ray(work, range(9), 2)
    assert [next(outcomes) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"^one line$"):
        next(outcomes)


def test_a_clip_that_kills_its_worker_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_data, "RETRIES", 2)

    def work(clips: list[int]) -> Iterator[int]:
        if clips == [3]:
            with (tmp_path / "deaths").open("a") as deaths:
                deaths.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return iter(clips)

    with pytest.raises(InputError, match=r"^runtime\.engine: a worker died 3 times over") as caught:
        list(ray_data.computed_by_ray(work, range(6), 2))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "deaths").read_text() == "xxx"


def test_workers_wait_for_what_they_computed_to_be_fetched(tmp_path: Path) -> None:
    def work(clips: list[int]) -> Iterator[NDArray[np.uint8]]:
        for clip in clips:
            (tmp_path / str(clip)).touch()
            yield np.full(2**12, clip, np.uint8)

    outcomes = ray_data.computed_by_ray(work, range(60), 2)
    assert next(outcomes)[0] == 0
    time.sleep(2)
    assert len(list(tmp_path.iterdir())) < 30
    assert [outcome[0] for outcome in outcomes] == list(range(1, 60))


KILLED = """
import sys, time
from pathlib import Path
from chain.datasets.manifest import read_manifest
from chain.engines import ray_data
from chain.video import engine, pack
root, out, scratch = map(Path, sys.argv[1:])
ray_data.CLIPS_AT_ONCE = pack.COMMIT_EVERY = 1
keep = engine.keep
engine.keep = lambda *arguments: (time.sleep(0.2), keep(*arguments))[1]
config = pack.DecodeConfig(frames=4, size=16, max_bad=0.5)
decode = engine.decoder({"engine": "ray"})
pack.pack_frames(read_manifest(root / "manifest.csv"), root, out, config, 2, scratch, decode)
"""


def test_the_calling_process_killed(root: Path, tmp_path: Path) -> None:
    """Nothing of its Ray stays, and the next run goes on."""
    manifest_of(root).to_csv(root / "manifest.csv", index=False)
    expected = packed(root, tmp_path / "threads", decoder(THREADS))
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *map(str, (root, out, scratch))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
    )
    done = scratch / "notes.npy"
    while not done.exists() or (np.load(done)["decoded"] > 0).sum() < 3:
        assert process.poll() is None
        time.sleep(0.05)
    started = [pid for pid in descendants(process.pid) if b"Agent" not in command(pid)]
    assert len(started) >= 4  # Ray's own, and two workers; its two agents take a minute to go
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]

    committed = int((np.load(done)["decoded"] > 0).sum())
    assert 3 <= committed < CLIPS - 1
    pack_frames(manifest_of(root), root, out, DECODE, 2, scratch, decoder(RAY))
    assert content_of(out) == expected

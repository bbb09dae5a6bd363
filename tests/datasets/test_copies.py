import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from chain.datasets import copies
from chain.datasets.copies import NEAR, fingerprints, near_copies
from chain.datasets.manifest import COLUMNS
from chain.datasets.splits import groups


def random_prints(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Fingerprints of clips without flat pictures."""
    prints = np.random.default_rng(seed).integers(0, 256, (count, 24), dtype=np.uint8)
    prints[:, ::8] |= 128
    return prints


def flipped(one: NDArray[np.uint8], bits: int, pictures: int = 3) -> NDArray[np.uint8]:
    """The same with this many other bits, shared out among the first pictures."""
    unpacked = np.unpackbits(one).reshape(3, 64)
    for bit in range(bits):
        unpacked[bit % pictures, 1 + bit // pictures] ^= 1
    return np.packbits(unpacked.ravel())


def slow_pairs(prints: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """All near copies by the definition, one pair after the other."""
    bits = np.unpackbits(prints, axis=1).reshape(len(prints), 3, 64).astype(int)
    found = set()
    for one in range(len(prints)):
        for other in range(one + 1, len(prints)):
            shows = bits[one, :, 0]
            if shows.sum() and (shows == bits[other, :, 0]).all():
                differ = np.abs(bits[one] - bits[other])[shows == 1].sum()
                if differ <= NEAR * shows.sum():
                    found.add((one, other))
    return found


def test_same_groups_as_one_by_one() -> None:
    base = random_prints(30)
    prints = [*base]
    for number, one in enumerate(base[:15]):
        prints.append(flipped(one, 3 * NEAR - 7 + number))
        prints.append(one)
    prints += [np.zeros(24, np.uint8)] * 3
    half = base[20].copy()
    half[16:] = 0  # its last picture is flat
    prints += [half, flipped(half, 2 * NEAR, 2), flipped(half, 2 * NEAR + 1, 2)]
    stacked = np.stack(prints)[np.random.default_rng(1).permutation(len(prints))]
    slow = np.array(sorted(slow_pairs(stacked)))
    expected = groups(len(stacked), slow)
    assert 20 < len(np.unique(expected)) < len(stacked)
    assert groups(len(stacked), near_copies(stacked)).tolist() == expected.tolist()


@pytest.mark.parametrize(("bits", "near"), [(3 * NEAR, True), (3 * NEAR + 1, False)])
def test_the_threshold(bits: int, near: bool) -> None:
    (one,) = random_prints(1)
    pairs = near_copies(np.stack([one, flipped(one, bits)]))
    assert pairs.tolist() == ([[0, 1]] if near else [])


def test_clips_without_fingerprint_are_no_copies() -> None:
    assert near_copies(np.zeros((4, 24), np.uint8)).shape == (0, 2)
    assert near_copies(np.zeros((0, 24), np.uint8)).shape == (0, 2)


def test_clips_that_are_all_alike_give_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = random_prints(1)
    other = random_prints(1, 1)
    alike = [flipped(one, bits) for bits in range(40)]
    monkeypatch.setattr(copies, "BLOCK", 7)
    pairs = near_copies(np.concatenate([np.stack(alike), other]))
    assert len(pairs) < copies.MANY * 41 + 7 * 41 < len(slow_pairs(np.stack(alike)))
    assert groups(41, pairs).tolist() == [0] * 40 + [40]


def test_many_clips_take_little_time() -> None:
    """About a second in processor time for 20,000, of which half are the same."""
    prints = random_prints(10_000)
    started = time.process_time()
    pairs = near_copies(np.concatenate([prints, prints]))
    assert len(pairs) == 10_000
    assert time.process_time() - started < 10


def test_fingerprints_are_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    taken: list[str] = []

    def fake(path: Path) -> NDArray[np.uint8]:
        taken.append(path.name)
        return random_prints(1, int(path.stem))[0] * (path.stem != "3")

    monkeypatch.setattr(copies.video, "fingerprint", fake)

    def manifest(*names: str) -> pd.DataFrame:
        rows = [(f"{n}", f"{n}.avi", 1, n[-1] * 64, "", "") for n in names]
        return pd.DataFrame(rows, columns=COLUMNS)

    first = fingerprints(manifest("0", "1", "11", "3"), Path("root"), 1)
    assert taken == ["0.avi", "11.avi", "3.avi"]  # 1 and 11 are the same file
    assert (first[1] == first[2]).all() and not first[3].any()
    taken.clear()
    again = fingerprints(manifest("2", "0", "1", "3"), Path("root"), 1)
    assert taken == ["2.avi", "3.avi"]  # what gave none is tried again
    assert (again[1] == first[0]).all() and (again[2] == first[1]).all()

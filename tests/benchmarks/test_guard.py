"""The guard of the benchmarks' ratios."""

import pytest

from benchmarks import guard

BOUNDS = {"slow": 0.5, "equal": 0.5, "fast": 0.5}
RATIOS = {"slow": 0.49, "equal": 0.5, "fast": 2.0, "unbounded": 0.1}


def test_only_what_is_below_its_bound_is_named() -> None:
    assert guard.below(RATIOS, BOUNDS) == ["slow 0.49 (bound 0.5)"]


def test_one_line_and_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BOUNDS", {"decode": BOUNDS})
    monkeypatch.setattr(guard, "RATIOS", {"decode": lambda: RATIOS})
    with pytest.raises(SystemExit, match=r"^error: .*decode: slow 0.49 \(bound 0.5\)$"):
        guard.main()


def test_a_table_where_all_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "BOUNDS", {"decode": BOUNDS})
    monkeypatch.setattr(guard, "RATIOS", {"decode": lambda: dict.fromkeys(BOUNDS, 0.5)})
    guard.main()
    said = capsys.readouterr().out.splitlines()
    assert said[2:] == [f"| decode | {name} | 0.50 | 0.5 |" for name in BOUNDS]

import os

import pytest

from chain.results.published import read_published

# Typed by hand from the sources, one from each row's 16, 32 or 64 bits.
SPOTS = {
    ("conmh", "fcvid", 64, 20): 0.373,
    ("conmh", "activitynet", 16, 100): 0.024,
    ("s5vh", "fcvid", 32, 40): 0.286,
    ("s5vh", "activitynet", 64, 5): 0.266,
    ("s5vh", "ucf101", 16, 60): 0.337,
    ("s5vh", "hmdb51", 32, 80): 0.091,
    ("autossvh", "fcvid", 16, 20): 0.256,
    ("autossvh", "activitynet", 32, 5): 0.250,
    ("autossvh", "ucf101", 64, 100): 0.329,
    ("autossvh", "hmdb51", 16, 40): 0.081,
    ("wsch", "fcvid", 32, 60): 0.303,
    ("wsch", "activitynet", 64, 20): 0.242,
    ("mcmsh", "fcvid", 64, 5): 0.494,
    ("bth", "fcvid", 64, 100): 0.202,
}


def test_counts_and_ranges():
    table = read_published()
    assert list(table.columns) == ["method", "dataset", "bits", "k", "map_ssvh", "source"]
    assert len(table) == 36 * 6
    assert not table.duplicated(["method", "dataset", "bits", "k"]).any()
    assert not table.isna().any().any()
    assert set(table["dataset"]) == {"fcvid", "activitynet", "ucf101", "hmdb51"}
    assert set(table["k"]) == {5, 20, 40, 60, 80, 100}
    assert table["map_ssvh"].between(0.02, 0.6).all()
    lines = table.groupby("method").size() // 6
    assert lines.to_dict() == {
        **{"conmh": 6, "s5vh": 12, "autossvh": 12},
        **{"wsch": 4, "mcmsh": 1, "bth": 1},
    }


@pytest.mark.parametrize(("cell", "value"), SPOTS.items())
def test_spot_values(cell, value):
    table = read_published().set_index(["method", "dataset", "bits", "k"])
    assert table.loc[cell, "map_ssvh"] == value


def test_map_falls_with_k_and_rises_with_bits():
    table = read_published()
    by_k = table.pivot(index=["method", "dataset", "bits"], columns="k", values="map_ssvh")
    assert (by_k.diff(axis=1).iloc[:, 1:] < 0).all().all()
    by_bits = table.pivot(index=["method", "dataset", "k"], columns="bits", values="map_ssvh")
    assert (by_bits[64] > by_bits[32]).sum() == (by_bits[32].notna()).sum()
    assert (by_bits[32] > by_bits[16]).sum() == (by_bits[16].notna()).sum()


def test_reads_from_any_working_directory(tmp_path):
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert len(read_published()) == 216
    finally:
        os.chdir(here)

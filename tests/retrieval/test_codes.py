import numpy as np
import pytest

from chain.core.errors import InputError
from chain.retrieval.codes import (
    Codes,
    code_statistics,
    load_codes,
    pack,
    save_codes,
    unpack,
    words,
)

IDS = ["wave/clip_003", "été/ünïcode", "a"]


def random_codes(count, bits, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, bits // 8), dtype=np.uint8)


def test_bit_order_by_hand():
    values = np.array([[1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0.0, -1, -1, -1, -1, 2]])
    assert pack(values).tolist() == [[0b10000000, 0b00100001]]


def test_zero_and_negative_zero_are_positive():
    assert pack(np.array([[0.0, -0.0, 0, 0, 0, 0, 0, -1e-30]])).tolist() == [[254]]


@pytest.mark.parametrize("bits", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
def test_unpack_inverts_pack(bits, dtype):
    signs = np.random.default_rng(bits).choice([-1, 1], (13, bits)).astype(dtype)
    codes = pack(signs)
    assert codes.shape == (13, bits // 8) and codes.dtype == np.uint8
    assert unpack(codes).dtype == np.int8
    np.testing.assert_array_equal(unpack(codes), signs)


@pytest.mark.parametrize(
    "values",
    [
        np.ones((2, 12)),
        np.ones((2, 0)),
        np.ones(8),
        np.ones((2, 8), dtype=bool),
        np.ones((2, 8), dtype=np.uint8),
        np.full((2, 8), np.nan),
    ],
)
def test_pack_refuses(values):
    with pytest.raises(InputError):
        pack(values)


@pytest.mark.parametrize("width", [1, 8, 9, 16, 20])
def test_words_keep_the_bits_and_pad_with_zeros(width):
    packed = random_codes(5, 8 * width)
    columns = words(packed)
    assert columns.shape == (-(-width // 8), 5)
    assert columns.T.tobytes()[:width] == packed[0].tobytes()
    np.testing.assert_array_equal(
        np.bitwise_count(columns).sum(axis=0), np.bitwise_count(packed).sum(axis=1)
    )


def test_words_do_not_depend_on_memory_layout():
    packed = random_codes(5, 128)
    np.testing.assert_array_equal(words(np.asfortranarray(packed)), words(packed))
    np.testing.assert_array_equal(words(packed[::-1]), words(packed)[:, ::-1])


def test_words_of_empty_input():
    assert words(np.zeros((3, 0), dtype=np.uint8)).shape == (0, 3)
    assert words(np.zeros((0, 4), dtype=np.uint8)).shape == (1, 0)


def test_files_round_trip(tmp_path):
    path = tmp_path / "new folder" / "codes.npz"
    codes = random_codes(3, 24)
    save_codes(path, IDS, codes)
    loaded = load_codes(path)
    assert loaded.ids.tolist() == IDS and loaded.bits == 24
    np.testing.assert_array_equal(loaded.codes, codes)
    assert [entry.name for entry in path.parent.iterdir()] == ["codes.npz"]


def test_files_are_the_same_bytes_whenever_written(tmp_path, monkeypatch):
    save_codes(tmp_path / "one.npz", IDS, random_codes(3, 64))
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_codes(tmp_path / "two.npz", IDS, random_codes(3, 64))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_files_do_not_depend_on_memory_layout(tmp_path):
    codes = random_codes(3, 64)
    save_codes(tmp_path / "one.npz", IDS, codes)
    save_codes(tmp_path / "two.npz", np.array(IDS, dtype="U99"), np.asfortranarray(codes))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    ("ids", "codes"),
    [
        (IDS[:2], random_codes(3, 8)),
        (["a", "b", "a"], random_codes(3, 8)),
        (IDS, random_codes(3, 8).astype(np.int64)),
        (IDS, random_codes(3, 8)[:, 0]),
        (IDS, random_codes(3, 8)[:, :0]),
    ],
)
def test_save_refuses_and_writes_nothing(tmp_path, ids, codes):
    with pytest.raises(InputError, match="codes"):
        save_codes(tmp_path / "codes.npz", ids, codes)
    assert not list(tmp_path.iterdir())


def test_a_repeated_id_is_named():
    with pytest.raises(InputError, match="'b' occurs more than once"):
        Codes(np.array(["b", "a", "b"]), random_codes(3, 8))


def test_load_names_a_bad_file(tmp_path):
    good = tmp_path / "good.npz"
    save_codes(good, IDS, random_codes(3, 8))
    bad = {name: tmp_path / f"{name}.npz" for name in ("text", "cut", "array", "other", "pickled")}
    bad["text"].write_text("not an archive")
    bad["cut"].write_bytes(good.read_bytes()[:100])
    with bad["array"].open("wb") as file:
        np.save(file, np.arange(3))
    np.savez(bad["other"], ids=np.array(IDS))
    np.savez(bad["pickled"], ids=np.array(IDS, dtype=object), codes=random_codes(3, 8))
    bad["mismatch"] = tmp_path / "mismatch.npz"
    np.savez(bad["mismatch"], ids=np.array(IDS), codes=random_codes(2, 8))
    bad["empty"] = tmp_path / "empty.npz"
    bad["empty"].touch()
    bad["missing"] = tmp_path / "missing.npz"
    bad["folder"] = tmp_path / "folder.npz"
    bad["folder"].mkdir()
    for path in bad.values():
        with pytest.raises(InputError, match=path.name) as caught:
            load_codes(path)
        assert "\n" not in str(caught.value)


def slow_statistics(codes):
    signs = [[1 if bit == "1" else -1 for byte in row for bit in f"{byte:08b}"] for row in codes]
    count, bits = len(signs), len(signs[0])
    balance = [abs(sum(row[i] for row in signs)) / count for i in range(bits)]
    pairs = [
        abs(sum(row[i] * row[j] for row in signs)) / count
        for i in range(bits)
        for j in range(bits)
        if i < j
    ]
    return {
        "bit_balance": sum(balance) / bits,
        "distinct": len(set(map(tuple, signs))) / count,
        "bit_correlation": sum(pairs) / len(pairs),
    }


def test_statistics_match_the_slow_twin():
    codes = random_codes(30, 16) & 0b10110011
    codes[7] = codes[3]
    assert code_statistics(codes) == pytest.approx(slow_statistics(codes))


def test_statistics_of_a_collapse_and_of_all_codes():
    collapsed = np.full((10, 2), 77, dtype=np.uint8)
    assert code_statistics(collapsed) == {
        "bit_balance": 1.0,
        "distinct": 0.1,
        "bit_correlation": 1.0,
    }
    every_byte = np.arange(256, dtype=np.uint8)[:, None]
    assert code_statistics(every_byte) == {
        "bit_balance": 0.0,
        "distinct": 1.0,
        "bit_correlation": 0.0,
    }


def test_statistics_of_nothing_are_refused():
    with pytest.raises(InputError):
        code_statistics(random_codes(0, 8))

import numpy as np
import pandas as pd
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
CLIPS = pd.DataFrame({"id": IDS})


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


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_round_trip(tmp_path):
    folder = tmp_path / "new" / "folder"
    codes = {7: random_codes(4, 24, 7), 12: random_codes(4, 24, 12)}
    ids = ["001", "NA", 'a, "b"', "été"]
    save_codes(folder, ids, codes)
    for seed, packed in codes.items():
        loaded = load_codes(folder, seed, pd.DataFrame({"id": ids}), 24)
        assert loaded.ids.tolist() == ids and loaded.bits == 24
        np.testing.assert_array_equal(loaded.codes, packed)
    assert contents(folder).keys() == {"ids.csv", "seed_7.npy", "seed_12.npy"}


def test_files_need_no_code_of_ours_to_be_read(tmp_path):
    save_codes(tmp_path, IDS, {0: random_codes(3, 64)})
    np.testing.assert_array_equal(np.load(tmp_path / "seed_0.npy"), random_codes(3, 64))
    assert (tmp_path / "ids.csv").read_text(encoding="utf-8").splitlines() == ["id", *IDS]


def test_files_do_not_depend_on_memory_layout(tmp_path):
    codes = random_codes(3, 64)
    save_codes(tmp_path / "one", IDS, {0: codes})
    save_codes(tmp_path / "two", np.array(IDS, dtype="U99"), {0: np.asfortranarray(codes)})
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("ids", "codes"),
    [
        (IDS[:2], random_codes(3, 8)),
        (["a", "b", "a"], random_codes(3, 8)),
        ([], random_codes(3, 8)),
        (IDS, random_codes(3, 8).astype(np.int64)),
        (IDS, random_codes(3, 8)[:, 0]),
        (IDS, random_codes(3, 8)[:, :0]),
    ],
)
def test_save_refuses_and_writes_nothing(tmp_path, ids, codes):
    with pytest.raises(InputError, match="codes"):
        save_codes(tmp_path / "codes", ids, {0: random_codes(len(ids), 8), 1: codes})
    assert not list(tmp_path.iterdir())


def test_a_repeated_id_is_named():
    with pytest.raises(InputError, match="'b' occurs more than once"):
        Codes(np.array(["b", "a", "b"]), random_codes(3, 8))


BAD_FILES = {
    "seed_0.npy": {
        "text": b"not an array, but more than a header of one",
        "cut": np.lib.format.magic(1, 0),
        "empty": b"",
        "missing": None,
        "numbers": np.arange(3),
        "short": random_codes(2, 8),
        "pickled": np.array(IDS, dtype=object),
    },
    "ids.csv": {
        "other": b"name\na\nb\nc\n",
        "short": b"id\na\nb\n",
        "repeated": b"id\na\nb\na\n",
        "empty": b"",
        "binary": b"id\n\xff\n",
        "missing": None,
    },
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(name, content, id=f"{name}-{what}")
        for name, bad in BAD_FILES.items()
        for what, content in bad.items()
    ],
)
def test_load_names_a_bad_file(tmp_path, name, content):
    save_codes(tmp_path, IDS, {0: random_codes(3, 8)})
    path = tmp_path / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(InputError, match=str(tmp_path)) as caught:
        load_codes(tmp_path, 0, CLIPS, 8)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ids.csv", "seed_0.npy"])
def test_load_names_a_folder_in_a_file_s_place(tmp_path, name):
    save_codes(tmp_path, IDS, {0: random_codes(3, 8)})
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=name):
        load_codes(tmp_path, 0, CLIPS, 8)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    save_codes(tmp_path, IDS, {0: random_codes(3, 8)})
    whole = (tmp_path / "seed_0.npy").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "seed_0.npy").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"seed_0\.npy: not a file of codes"):
            load_codes(tmp_path, 0, CLIPS, 8)


def test_codes_of_other_clips_or_of_another_length_are_refused(tmp_path):
    save_codes(tmp_path, IDS, {0: random_codes(3, 8)})
    for clips in (CLIPS[::-1], CLIPS[:2]):
        with pytest.raises(InputError, match=r"seed_0\.npy with ids\.csv: the codes are not those"):
            load_codes(tmp_path, 0, clips, 8)
    with pytest.raises(InputError, match=r"seed_0\.npy: codes of 8 bits, not of 16"):
        load_codes(tmp_path, 0, CLIPS, 16)


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

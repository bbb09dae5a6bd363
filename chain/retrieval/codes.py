"""Binary codes: packing, files, and the statistics that show a collapse.

Bit k of a code is bit 7 - k % 8 of its byte k // 8 (`np.packbits`, big-endian). Bit 1 stands for
+1, bit 0 for -1, and sign(0) is +1.

The codes of a data set by one method lie in a folder:

* `ids.csv` has the clips' ids in its one column, `id`;
* `seed_<n>.npy` holds the packed codes, in the order of the ids, of the model trained from seed n.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import REPRO, InputError, reading
from chain.core.files import write_csv

IDS = "ids.csv"


@dataclass(frozen=True, eq=False)
class Codes:
    """The packed `codes` (N, bits / 8), uint8, of the items `ids` (N,).

    Raises InputError if the two differ in length, an id repeats, or `codes` is not packed.
    """

    ids: NDArray[np.str_]
    codes: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2 or not self.codes.shape[1]:
            raise InputError(
                "codes: expected packed codes, uint8 of shape (N, bits / 8), not "
                f"{self.codes.dtype} of shape {self.codes.shape}"
            )
        if self.ids.shape != self.codes.shape[:1]:
            raise InputError(f"codes: ids of shape {self.ids.shape} for {len(self.codes)} codes")
        ordered = np.sort(self.ids)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(repeated):
            raise InputError(f"codes: id {str(repeated[0])!r} occurs more than once")

    @property
    def bits(self) -> int:
        """The code length."""
        return 8 * int(self.codes.shape[1])


def take(codes: Codes, rows: NDArray[np.int64]) -> Codes:
    """Return the codes of the rows (M,), in their order."""
    return Codes(codes.ids[rows], codes.codes[rows])


def pack(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Pack the signs of `values` (N, b), signed integers or floats, into codes (N, b / 8).

    Zero counts as positive. Raises InputError if b is not a positive multiple of 8, on NaN, and on
    types without a sign.
    """
    if values.ndim != 2 or not values.shape[1] or values.shape[1] % 8:
        raise InputError(f"codes: expected shape (N, b) with b a multiple of 8, not {values.shape}")
    if values.dtype.kind not in "fi":
        raise InputError(f"codes: expected signed integers or floats, not {values.dtype}")
    if np.isnan(values).any():
        raise InputError("codes: NaN among the values to binarise")
    return np.packbits(values >= 0, axis=1)


def unpack(codes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the signs (N, b), each -1 or +1, of packed `codes` (N, b / 8)."""
    return 2 * np.unpackbits(codes, axis=1).view(np.int8) - np.int8(1)


def words(packed: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Turn rows of bytes (N, B) into columns of 64-bit words (W, N), W = ceil(B / 8).

    Rows whose length is not a multiple of 8 are padded with zeros.
    """
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(np.ascontiguousarray(padded).view(np.uint64).T)


def save_codes(folder: Path, ids: Sequence[str], codes: Mapping[int, NDArray[np.uint8]]) -> None:
    """Write the packed `codes` (N, b / 8) of each seed, and the N `ids` that they share.

    The same content gives the same bytes. Raises InputError, before anything is written, if codes
    and ids do not fit together (see `Codes`).
    """
    names = np.array(list(ids), dtype=np.str_)
    checked = {seed: Codes(names, packed).codes for seed, packed in codes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / IDS, pd.DataFrame({"id": names}))
    for seed, packed in checked.items():
        np.save(folder / f"seed_{seed}.npy", np.ascontiguousarray(packed))


def load_codes(folder: Path, seed: int, clips: pd.DataFrame, bits: int) -> Codes:
    """Read the codes of one seed that `save_codes` wrote, of `clips` (with a column id).

    Raises InputError naming the file if one is missing or damaged, if codes and ids do not fit
    together, or if they are not the codes of those clips, in their order and of that length.
    """
    path, names = folder / f"seed_{seed}.npy", folder / IDS
    with reading(path, "a file of codes (.npy)"), path.open("rb") as file:
        packed = np.lib.format.read_array(file)
    with reading(names, "a table of ids (.csv with the column `id`)"):
        ids = pd.read_csv(names, dtype=str, keep_default_na=False)["id"]
    try:
        codes = Codes(ids.to_numpy(dtype=np.str_), packed)
        check_codes(codes, clips)
    except InputError as error:
        raise InputError(f"{path} with {IDS}: {error}; {REPRO}") from None
    if codes.bits != bits:
        raise InputError(f"{path}: codes of {codes.bits} bits, not of {bits}; {REPRO}")
    return codes


def check_codes(codes: Codes, clips: pd.DataFrame) -> None:
    """Raise InputError if `codes` are not those of `clips` (with a column id), in their order."""
    if codes.ids.tolist() != clips["id"].tolist():
        raise InputError("the codes are not those of the data set's clips")


def code_statistics(codes: NDArray[np.uint8]) -> dict[str, float]:
    """Compute three numbers in [0, 1] that show whether the codes (N, b / 8) have collapsed.

    * `bit_balance` is the mean over bits of |mean sign|; it is 0 if every bit is set in half of
      the items, and 1 if every bit is constant.
    * `distinct` is the number of distinct codes over the number of items.
    * `bit_correlation` is the mean |E[s_i s_j]| over pairs of different bits; it is 1 if all bits
      are equal, opposite or constant. Spectral hashing (Weiss et al., NIPS 2008) asks for 0.

    Raises InputError if there are no codes.
    """
    if not len(codes):
        raise InputError("codes: no codes to describe")
    signs = unpack(codes).astype(np.float32)  # (N, b)
    gram = np.abs(signs.T @ signs) / len(signs)  # (b, b), ones on the diagonal
    bits = len(gram)
    return {
        "bit_balance": float(np.abs(signs.mean(axis=0)).mean()),
        "distinct": len(np.unique(codes, axis=0)) / len(codes),
        "bit_correlation": float((gram.sum() - bits) / (bits * (bits - 1))),
    }

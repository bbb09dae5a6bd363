"""Numbers that the authors' released code computed from random weights and inputs.

`tests/methods/golden/README.md` says what is where.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "methods" / "golden"


def golden(name: str) -> dict[str, Tensor]:
    """All arrays of `<name>.npz`."""
    with np.load(FOLDER / f"{name}.npz") as held:
        return {key: torch.from_numpy(np.asarray(held[key])) for key in held.files}


def agree(found: Tensor, expected: Tensor, share: float = 1e-5) -> None:
    """Fails unless all entries agree to a share of the largest expected one."""
    assert found.shape == expected.shape
    torch.testing.assert_close(
        found.detach(), expected, rtol=0, atol=share * float(expected.abs().max())
    )

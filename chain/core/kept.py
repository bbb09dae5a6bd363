"""Results of the last run, clip by clip: those of unchanged clips need not be computed again."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chain.core.files import replacing, write_json

log = logging.getLogger(__name__)

KEPT = Path(".kept")


class Kept:
    """Arrays whose rows belong to clips, as the last run that made them in the same way left them.

    They lie in the folder `.kept/<name>`. `made_with` is a JSON-like value that holds everything
    besides a clip that its rows depend on. If it is not what the arrays were made with, none of
    their rows is found.
    """

    def __init__(self, name: str, made_with: Mapping[str, Any]) -> None:
        self.folder = KEPT / name
        self.made_with = json.loads(json.dumps(made_with))
        self.rows: dict[str, dict[str, int]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        try:
            record = json.loads((self.folder / "record.json").read_text())
            if record["made_with"] == self.made_with:
                for array, clips in record["clips"].items():
                    self.rows[array] = {clip: row for row, clip in enumerate(clips)}
                    self.arrays[array] = np.load(self.folder / f"{array}.npy", mmap_mode="r")
        except (OSError, EOFError, ValueError, KeyError):  # nothing kept, or no longer whole
            self.rows = {}

    def find(self, array: str, clip: str) -> NDArray[Any] | None:
        """The row of `array` that belongs to the clip, or None."""
        row = self.rows.get(array, {}).get(clip)
        return None if row is None else self.arrays[array][row]

    def replace(self, arrays: Mapping[str, tuple[Path | NDArray[Any], Sequence[str]]]) -> None:
        """Keep these arrays, and nothing else, for the next run.

        Each comes with the clips that its rows belong to. One that lies in a `.npy` file is linked,
        which takes no space on disk, so the file must not be written to any more. If that fails, a
        warning says so, and the next run computes everything again.
        """
        try:
            with replacing(self.folder) as temporary:
                temporary.mkdir()
                for name, (array, _) in arrays.items():
                    if isinstance(array, Path):
                        os.link(array, temporary / f"{name}.npy")
                    else:
                        np.save(temporary / f"{name}.npy", array)
                clips = {name: list(rows) for name, (_, rows) in arrays.items()}
                write_json(temporary / "record.json", {"made_with": self.made_with, "clips": clips})
        except OSError as error:
            log.warning("nothing is kept for the next run: %s: %s", self.folder, error.strerror)

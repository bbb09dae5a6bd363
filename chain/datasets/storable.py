"""Which texts the tables of clips can hold, so that no clip ever becomes two rows."""

import unicodedata

import pandas as pd

from chain.core.errors import InputError

KINDS = (
    "Cc",
    "Cs",
    "Zl",
    "Zp",
)  # Unicode's control characters, half pairs, line and paragraph ends


def is_storable(text: str) -> bool:
    """Whether a text has no line break or other control character, and was not broken UTF-8."""
    return {unicodedata.category(character) for character in text}.isdisjoint(KINDS)


def check_storable(manifest: pd.DataFrame) -> None:
    """Raise InputError if a clip's id, path, labels or split is not storable."""
    for column in ("id", "path", "labels", "split"):
        for text in manifest[column]:
            if not is_storable(text):
                raise InputError(
                    f"{column} {text!r}: it is not UTF-8, or has line breaks or other control "
                    "characters"
                )

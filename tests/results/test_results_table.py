from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.results.table import Cell, Table, read_tables, write_tables

FRAME = pd.DataFrame(
    {
        "name": ["a|b", None],
        "bits": pd.array([16, None], dtype="Int64"),
        "mAP": [Cell("0.5 ± 0.1", bold=True), np.nan],
        "0.1": ["0.1", "true"],
    }
)
TABLE = Table(
    "c",
    ("name", "bits", "mAP", "0.1"),
    (
        (Cell("a|b"), Cell("16"), Cell("0.5 ± 0.1", bold=True), Cell("0.1")),
        (Cell("–"), Cell("–"), Cell("–"), Cell("true")),
    ),
    (False, True, True, False),
)
MARKDOWN = (
    "| name | bits | mAP | 0.1 |\n"
    "| --- | --: | --: | --- |\n"
    "| a\\|b | 16 | **0.5 ± 0.1** | 0.1 |\n"
    "| – | – | – | true |\n"
)


def test_of_a_frame_by_hand() -> None:
    assert Table.of(FRAME, "c") == TABLE
    empty = Table.of(FRAME.iloc[:0])
    assert (empty.header, empty.rows) == (TABLE.header, ())


def test_markdown_by_hand() -> None:
    assert TABLE.markdown() == f"### c\n\n{MARKDOWN}"
    assert Table.of(FRAME).markdown() == MARKDOWN


def test_the_note_stands_below() -> None:
    table = Table.of(FRAME, "c", "Why so.")
    assert table.markdown() == f"### c\n\n{MARKDOWN}\nWhy so.\n"
    assert Table.of(FRAME, note="Why so.").markdown() == f"{MARKDOWN}\nWhy so.\n"


def test_written_for_readers_and_read_back(tmp_path: Path) -> None:
    data, markdown = tmp_path / "deep" / "t.json", tmp_path / "t.md"
    other = Table.of(FRAME[["bits"]], note="Why so.")
    write_tables(data, markdown, [TABLE, other], ["First note.", "Second note."])
    assert read_tables(data) == (TABLE, other)
    assert markdown.read_text(encoding="utf-8") == (
        f"{TABLE.markdown()}\n{other.markdown()}\nFirst note.\n\nSecond note.\n"
    )


def test_no_table_leaves_the_note(tmp_path: Path) -> None:
    write_tables(tmp_path / "t.json", tmp_path / "t.md", [], ["Nothing was run."])
    assert read_tables(tmp_path / "t.json") == ()
    assert (tmp_path / "t.md").read_text() == "Nothing was run.\n"


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="table 't': 2 columns, but a row of 1"):
        Table("t", ("a", "b"), ((Cell("1"),),), (False, True))
    with pytest.raises(InputError, match="table 't': 2 columns, but a row of 3"):
        Table("t", ("a", "b"), (), (False, True, True))

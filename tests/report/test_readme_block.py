import pytest

from chain.core.errors import InputError
from chain.report.readme_block import replace_block

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
TEXT = f"# Title\n\n{BEGIN}\nold\n{END}\n\nRest <!-- other:begin --> $1 \\1\n"


def test_by_hand_and_idempotent() -> None:
    once = replace_block(TEXT, "results", "\n| a |\n| --- |\n| \\1 $0 |\n")
    assert once == TEXT.replace("old", "\n| a |\n| --- |\n| \\1 $0 |\n")
    assert replace_block(once, "results", "| a |\n| --- |\n| \\1 $0 |") == once


def test_other_blocks_stay() -> None:
    text = TEXT + TEXT.replace("results", "versions")
    assert replace_block(text, "versions", "new").startswith(TEXT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace(BEGIN, ""), f"{BEGIN}: expected once, found 0 times"),
        (TEXT.replace(END, ""), f"{END}: expected once, found 0 times"),
        (TEXT + BEGIN, f"{BEGIN}: expected once, found 2 times"),
        (TEXT + END, f"{END}: expected once, found 2 times"),
        (f"{END}\n{BEGIN}", f"{END}: stands before {BEGIN}"),
    ],
)
def test_bad_markers(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        replace_block(text, "results", "new")


def test_new_text_with_a_marker() -> None:
    with pytest.raises(InputError, match="stands in the new text itself"):
        replace_block(TEXT, "results", f"a {END} b")

import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.datasets.storable import check_storable, is_storable

ODD = ["a\rb", "a\nb", "a\udce9", "\0", "\x1b[31m", "a\tb", "a\x85b", "a\u2028b", "a\u2029"]


@pytest.mark.parametrize("text", ODD)
def test_texts_that_would_break_a_table(text: str) -> None:
    assert not is_storable(text)


@pytest.mark.parametrize("text", ["", "a, b", '"', "日本 語", "at 3.45.12\u202fPM", "🏌", "é", "NA"])
def test_other_texts(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("column", ["id", "path", "labels", "split"])
@pytest.mark.parametrize("odd", ODD)
def test_the_first_odd_text_is_named(column: str, odd: str) -> None:
    manifest = pd.DataFrame(
        {"id": ["a", "b"], "path": ["a.mp4", "b.mp4"], "labels": ["", "golf"], "split": ["", "01"]},
        dtype=object,
    )
    check_storable(manifest)
    manifest.loc[1, column] = odd
    with pytest.raises(InputError) as caught:
        check_storable(manifest)
    assert str(caught.value).startswith(f"{column} {odd!r}: it is not UTF-8, or has line breaks")
    assert len(str(caught.value).splitlines()) == 1

import threading
from collections.abc import Iterator

import pytest

from chain.features.prefetch import prefetch


@pytest.mark.parametrize("ahead", [1, 2, 50])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_same_items_in_the_same_order(count: int, ahead: int) -> None:
    assert list(prefetch(range(count), ahead)) == list(range(count))


def test_the_next_item_is_computed_while_one_is_in_use() -> None:
    computed = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for k, event in enumerate(computed):
            event.set()
            yield k

    for k in prefetch(items(), 1):
        assert computed[min(k + 1, 2)].wait(5)


def test_no_more_are_computed_than_asked_ahead() -> None:
    computed: list[int] = []

    def items() -> Iterator[int]:
        for k in range(20):
            computed.append(k)
            yield k

    for k in prefetch(items(), 3):
        assert len(computed) <= k + 1 + 3


@pytest.mark.parametrize("ahead", [1, 4])
def test_an_error_comes_in_its_place(ahead: int) -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise KeyError("third")

    got = []
    with pytest.raises(KeyError, match="third"):
        for item in prefetch(items(), ahead):
            got.append(item)
    assert got == [0, 1]


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    items = prefetch(iter(int, 1), 2)  # zeros without end
    assert next(items) == 0 and threading.active_count() == before + 1
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before

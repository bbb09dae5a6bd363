"""A helper thread that computes items while those before them are in use."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """Yield the same items in the same order, and compute up to `ahead` of them in advance.

    If `items` raises, the exception is raised here when its turn comes.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as helper:
        waiting = deque(helper.submit(next, iterator, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(helper.submit(next, iterator, end))
            yield item  # type: ignore[misc]

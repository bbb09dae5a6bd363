"""The list of videos: found by words, a page at a time."""

import time

import pandas as pd
from pretend_collection import table_of

from chain.page.listing import Listing, Video

PATHS = ["/films/Straße/Kuh.mp4", "/films/beach/Dog run.mp4", "/films/beach/cow.mp4"]


def listing(paths: list[str] = PATHS) -> Listing:
    return Listing.of(table_of(paths, [1.0] * len(paths)))


def paths(found: list[Video]) -> list[str]:
    return [video.path for video in found]


def test_all_words_have_to_occur_in_any_case() -> None:
    assert paths(listing().find("RUN beach", 0, 10)[1]) == ["/films/beach/Dog run.mp4"]
    assert paths(listing().find("STRASSE", 0, 10)[1]) == ["/films/Straße/Kuh.mp4"]
    assert listing().find("beach kuh", 0, 10) == (0, [])


def test_without_words_all_come_in_the_order_of_their_paths() -> None:
    assert listing().find(" ", 0, 10) == (3, listing().videos)
    assert paths(listing().videos) == sorted(PATHS)


def test_a_page_is_cut_from_what_was_found() -> None:
    total, found = listing().find("beach", 1, 1)
    assert (total, paths(found)) == (2, ["/films/beach/cow.mp4"])
    assert listing().find("beach", 5, 10) == (2, [])


def test_words_are_no_pattern() -> None:
    assert listing().find("%", 0, 10)[0] == 0
    assert listing().find("c.w", 0, 10)[0] == 0
    assert listing().find("' OR 1=1 --", 0, 10)[0] == 0


def test_files_of_the_same_content_share_their_id() -> None:
    table = table_of(["/b.mp4", "/a.mp4"], [1.0, 1.0]).assign(id="f")
    assert paths(Listing.of(table).files("f")) == ["/a.mp4", "/b.mp4"]
    assert Listing.of(table).files("other") == []


def test_an_empty_collection_lists_nothing() -> None:
    empty = pd.DataFrame({"path": [], "id": [], "size": [], "duration": []})
    assert Listing.of(empty).find("", 0, 10) == (0, [])


def test_ten_thousand_videos_are_found_at_once() -> None:
    many = listing([f"/films/{number % 100:02}/clip {number:05}.mp4" for number in range(10_000)])
    started = time.perf_counter()
    total, found = many.find("77 CLIP", 10, 50)
    assert time.perf_counter() - started < 0.1
    wanted = sorted(path for path in paths(many.videos) if "77" in path)
    assert (total, paths(found)) == (len(wanted), wanted[10:60])

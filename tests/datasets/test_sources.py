"""The sources by name, and what a profile says of fetching their files."""

from typing import Any

import pytest

from chain.core.errors import InputError
from chain.datasets.sources import (
    SOURCES,
    has_feature_files,
    source_config,
    wanted_downloads,
)
from chain.downloads.fetch import DownloadConfig

FILE = "params/mini.yaml"
VIDEOS = {"url": "https://example.org/a.zip", "sha256": None, "folder": "videos"}
FOLDER: dict[str, Any] = {"kind": "folder", "root": "mini"}
READY = {"frames": 4, "width": 8, "splits": {"train": {"features": ["a.h5"]}}, "root": "mini"}


def test_own_keys_are_those_of_the_kind() -> None:
    plain = source_config(FOLDER, "source", FILE)
    fetched = source_config(
        FOLDER | {"download": True, "files": {"videos": VIDEOS}}, "source", FILE
    )
    assert plain == fetched == SOURCES["folder"][0](root="mini")


@pytest.mark.parametrize("kind", SOURCES)
def test_ready_made_features_alone_have_no_pixels(kind: str) -> None:
    schema = SOURCES[kind][0]
    config = schema.model_validate(READY) if kind == "features" else schema.model_construct()
    assert has_feature_files(config) == (kind == "features")


def test_what_is_fetched() -> None:
    lists = VIDEOS | {"url": "https://example.org/lists.csv", "folder": "."}
    source = FOLDER | {"files": {"videos": VIDEOS, "lists": lists}}
    assert wanted_downloads(FOLDER, "source", FILE) == []
    assert wanted_downloads(source, "source", FILE) == []
    assert wanted_downloads(source | {"download": False}, "source", FILE) == []
    assert wanted_downloads(source | {"download": True}, "source", FILE) == [
        DownloadConfig(**VIDEOS),
        DownloadConfig(**lists),
    ]


@pytest.mark.parametrize("check", [source_config, wanted_downloads])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"download": "yes"}, "source: download is true or false, and files is a mapping"),
        ({"files": [VIDEOS]}, "source: download is true or false, and files is a mapping"),
        ({"download": True}, "source.files: no address, so put the files in place by hand"),
        ({"download": True, "files": {}}, "source.files: no address"),
        ({"files": {"videos": VIDEOS | {"url": "x"}}}, "source.files.videos.url: "),
        ({"files": {"videos": VIDEOS | {"md5": "x"}}}, "source.files.videos.md5: unknown"),
        ({"files": {"videos": "x"}}, "source.files.videos: "),
    ],
)
def test_bad_downloads_are_named(check: Any, change: dict[str, Any], message: str) -> None:
    """Also while nothing is to be fetched."""
    with pytest.raises(InputError) as caught:
        check(FOLDER | change, "source", FILE)
    assert str(caught.value).startswith(f"{FILE}: {message}")
    assert "\n" not in str(caught.value)


def test_a_source_without_a_place_for_files() -> None:
    source = {"kind": "demo", "download": True, "files": {"videos": VIDEOS}}
    with pytest.raises(InputError, match=rf"^{FILE}: source\.files: no address"):
        wanted_downloads(source, "source", FILE)


@pytest.mark.parametrize("kind", ["web", None])
def test_unknown_kind(kind: str | None) -> None:
    known = ", ".join(SOURCES)
    with pytest.raises(InputError) as caught:
        source_config({"kind": kind}, "source", FILE)
    assert str(caught.value) == f"{FILE}: source.kind: unknown source {kind!r}; known: {known}"

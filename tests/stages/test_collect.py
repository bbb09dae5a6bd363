"""When the collection of the last run is gone on with."""

import json

import pytest
from tiny_hasher import write_hasher

from chain.collection.about import ABOUT, FORMAT
from chain.core.errors import InputError
from stages import collect


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "OUT", tmp_path / "collection")
    monkeypatch.setattr(collect, "HASHER", write_hasher(tmp_path / "hasher"))
    collect.opened()
    (tmp_path / "collection/seen").touch()
    return tmp_path / "collection"


def test_a_collection_of_this_hasher_is_gone_on_with(out):
    collect.opened()
    assert (out / "seen").exists()


def test_one_of_another_hasher_is_made_anew(out, tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "HASHER", write_hasher(tmp_path / "other", seed=2))
    collect.opened()
    assert not (out / "seen").exists()


def test_one_of_another_format_is_made_anew(out):
    about = json.loads((out / ABOUT).read_text())
    (out / ABOUT).write_text(json.dumps(about | {"format": FORMAT - 1}))
    collect.opened()
    assert not (out / "seen").exists()
    assert json.loads((out / ABOUT).read_text())["format"] == FORMAT


def test_a_damaged_one_is_told(out):
    (out / ABOUT).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        collect.opened()

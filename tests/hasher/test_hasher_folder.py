"""The folder: its id, and every way in which it can be wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from chain import Hasher
from chain.core.errors import InputError
from chain.hasher.folder import ABOUT, CNN, CODES, MODEL, read_about, write_folder


def fails(folder: Path, message: str) -> None:
    with pytest.raises(InputError) as raised:
        Hasher.load(folder)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def edit(folder: Path, **changes: object) -> None:
    path = folder / ABOUT
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_same_hasher_has_the_same_files_and_id(make_hasher):
    one, two = make_hasher(name="one"), make_hasher(name="two")
    assert sorted(path.name for path in one.iterdir()) == sorted([ABOUT, CNN, CODES, MODEL])
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_the_id_follows_all_that_decides_a_code_and_nothing_else(make_hasher, tmp_path):
    about = read_about(make_hasher())
    config, codes = about.config, np.arange(40, dtype=np.uint8).reshape(10, 4)
    trained = about.trained_on
    cnn, model = {"a": torch.zeros(2)}, {"b": torch.zeros(3)}

    def id_of(config=config, cnn=cnn, model=model, codes=codes, trained=trained):
        return write_folder(tmp_path / "other", config, cnn, model, codes, trained).id

    decode = config.decode.model_copy(update={"size": 64})
    others = [
        id_of(config=config.model_copy(update={"decode": decode})),
        id_of(cnn={"a": torch.ones(2)}),
        id_of(model={"b": torch.ones(3)}),
    ]
    assert len({id_of(), *others}) == 4
    assert id_of(codes=codes[:5], trained=trained.model_copy(update={"clips": 5})) == id_of()


def test_tensors_that_share_memory(make_hasher, tmp_path):
    about, one = read_about(make_hasher()), torch.arange(6.0).reshape(2, 3)
    shared = {"a": one, "b": one.T}
    codes = np.arange(8, dtype=np.uint8).reshape(2, 4)
    write_folder(tmp_path / "other", about.config, shared, {}, codes, about.trained_on)
    assert read_about(tmp_path / "other").checksums


def test_no_hasher(tmp_path):
    fails(tmp_path / "none", "none/hasher.json: no such file; the folder holds no hasher")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "empty/hasher.json: no such file")
    (tmp_path / "file").write_text("")
    fails(tmp_path / "file", "file/hasher.json: no such file")


def test_a_damaged_or_foreign_description(make_hasher):
    folder = make_hasher()
    edit(folder, format=2)
    fails(folder, "hasher.json: its format is 2, this version reads 1")
    edit(folder, format=1, statistics=None)
    fails(folder, "hasher.json: hasher.statistics: ")
    (folder / ABOUT).write_text("{")
    fails(folder, "hasher.json: damaged, it is no JSON")
    (folder / ABOUT).write_text("[]")
    fails(folder, "hasher.json: its format is None")


@pytest.mark.parametrize("name", [CNN, MODEL, CODES])
def test_files_that_are_missing_damaged_or_of_another_hasher(make_hasher, name):
    folder, other = make_hasher(), make_hasher(seed=2, name="other")
    whole = bytearray((folder / name).read_bytes())
    shutil.copy(other / name, folder / name)
    fails(folder, f"{name}: damaged, or of another hasher than hasher.json")
    whole[-1] ^= 1
    (folder / name).write_bytes(whole)
    fails(folder, f"{name}: damaged")
    (folder / name).unlink()
    fails(folder, f"{name}: no such file; the hasher is incomplete")


def test_a_description_that_was_edited(make_hasher):
    folder = make_hasher()
    config = json.loads((folder / ABOUT).read_text())["config"]
    config["decode"]["frames"] += 1
    edit(folder, config=config)
    fails(folder, "hasher.json: its id is not that of what it describes")


def test_networks_that_the_code_no_longer_builds(make_hasher, tmp_path):
    folder = make_hasher()
    about, codes = read_about(folder), np.arange(8, dtype=np.uint8).reshape(2, 4)
    odd = {"no_such_layer": torch.zeros(1)}
    write_folder(tmp_path / "odd", about.config, odd, odd, codes, about.trained_on)
    fails(tmp_path / "odd", "odd: made by version")


def test_a_write_that_fails_leaves_the_old_folder(make_hasher):
    folder = make_hasher()
    about = read_about(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="statistics need two codes, here are 1"):
        write_folder(folder, about.config, {}, {}, np.zeros((1, 4), np.uint8), about.trained_on)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(folder.parent.glob(".*"))

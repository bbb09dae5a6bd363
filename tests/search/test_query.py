"""A new video's nearest clips, from a data set of twelve small clips and a random CNN."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from parameter_files import EXPERIMENT, profile, write_project

from chain.backbones.networks import Backbone, BackboneConfig, load_backbone
from chain.core import params
from chain.core.errors import InputError
from chain.datasets.folder import FolderConfig, index_folder
from chain.datasets.manifest import file_sha256, read_index, write_manifest
from chain.features.augmentation import AugmentConfig
from chain.features.bank import BankConfig, FeatureExtractor, extract
from chain.figures.style import save as save_figure
from chain.methods import method_config
from chain.methods.lsh import LSH
from chain.methods.saved_models import save_description
from chain.retrieval.codes import Codes, load_codes, pack, save_codes
from chain.retrieval.hamming import nearest
from chain.search.index import Index, Origin, SearchConfig, build, load, save
from chain.search.query import as_text, find
from chain.search.sheet import Result, contact_sheet, drawable, results
from chain.training.encode import encode_store
from chain.training.loop import build as build_model
from chain.video.pack import DecodeConfig, pack_frames
from chain.views.store import FeatureStore
from stages import index as index_stage
from stages import search as search_stage

DEMO = profile("demo")
CELL = "tiny/lsh_32"
CLIPS = 12
TINY = {
    "datasets": ["tiny"],
    "method": "lsh",
    "bits": 32,
    "seed": 3,
    "search": {
        "flat_up_to": 100,
        "kind": "hnsw",
        "hnsw": {"links": 8, "breadth": 8},
        "ivf": {"lists": 1, "probes": 1},
        "multihash": {"tables": 1, "flips": 0},
    },
}
INPUT = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
TINY_PROFILE = {
    "source": {"kind": "folder", "root": "tiny"},
    "decode": {"frames": 4, "size": 32, "max_bad": 0.0},
    "backbone": {"name": "squeezenet1_1", "size": 32, "weights": "random.pt"} | INPUT,
}


def texture(seed):
    """Twelve frames (12, 40, 56, 3) of a coarse random texture that slides by."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 14, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([coarse[:, shift : shift + 56] for shift in range(0, 48, 4)])


def write_params(changed=None, **changes):
    """Write the parameters, with changes of the profile and of `params.yaml`; return both."""
    tree = params.merge(EXPERIMENT | TINY, changes)
    own = params.merge(DEMO, TINY_PROFILE, changed or {})
    write_project(tree, {"tiny": own})
    return tree, own


@pytest.fixture
def project(tmp_path, monkeypatch, write_clip):
    """What the pipeline leaves in `artifacts` before the index; the CNN is random."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIN_DEVICE", "cpu")
    monkeypatch.setenv("CHAIN_THREADS", "1")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    tree, own = write_params()
    artifacts = tmp_path / "artifacts"
    listed = ["path,split"]
    for number in range(CLIPS):
        name = f"{'golf' if number % 2 else 'run'}/{number:02}.mp4"
        write_clip(tmp_path / "data/tiny" / name, texture(number))
        listed.append(f"{name},{'train' if number // 2 % 2 else 'database'}")
    Path("data/tiny/splits.csv").write_text("\n".join(listed))
    config = FolderConfig(root="tiny", split_file="splits.csv")
    manifest = index_folder(config, Path("data/tiny"), 1)
    write_manifest(artifacts / "clips/tiny/manifest.csv", manifest)
    decode = DecodeConfig(**own["decode"])
    (tmp_path / "scratch").mkdir()
    pack_frames(manifest, Path("data/tiny"), artifacts / "frames/tiny", decode, 1, Path("scratch"))

    torch.manual_seed(0)
    cnn, cnn_file = BackboneConfig(**own["backbone"]), artifacts / "backbones/tiny.pt"
    cnn_file.parent.mkdir()
    torch.save(Backbone(cnn).network.state_dict(), cnn_file)
    extractor = FeatureExtractor(load_backbone(cnn, cnn_file), cnn.size, torch.device("cpu"))
    features = artifacts / "features/tiny"
    features.mkdir(parents=True)
    train = np.flatnonzero(manifest["split"] == "train")
    frames = np.load(artifacts / "frames/tiny/frames.npy")
    bank = BankConfig(views=1, seed=0, spatial=[])
    ids = manifest["id"].tolist()
    extract(extractor, frames, ids, train, bank, AugmentConfig(**tree["augment"]), features)
    np.save(features / "train.npy", train)
    manifest.to_csv(features / "index.csv", index=False)

    store = FeatureStore.open(features)
    config = method_config("lsh", {"frames": 4})
    model = build_model(LSH, config, store, 32, seed=3)
    (artifacts / "models" / CELL).mkdir(parents=True)
    save_description(artifacts / "models" / CELL, "lsh", config, store.width, 32)
    torch.save(model.state_dict(), artifacts / "models" / CELL / "seed_3.pt")
    codes = pack(encode_store(model, store, torch.device("cpu")))
    save_codes(artifacts / "codes" / CELL, manifest["id"].tolist(), {3: codes})
    return tmp_path


def make_index():
    return index_stage.index("tiny", "lsh", 32)


def test_the_index_stage(project):
    assert make_index() == f"index: 6 codes of 32 bits in artifacts/indexes/{CELL}"
    index = load(Path("artifacts/indexes") / CELL)
    table = pd.read_csv("artifacts/features/tiny/index.csv", dtype=str)
    assert index.ids.tolist() == sorted(table["id"][table["split"] == "database"])
    assert index.origin == Origin(
        dataset="tiny",
        method="lsh",
        bits=32,
        seed=3,
        weights=file_sha256(Path(f"artifacts/models/{CELL}/seed_3.pt")),
        backbone=file_sha256(Path("artifacts/backbones/tiny.pt")),
    )
    write_params({"roles": {"database": None}})
    assert make_index().startswith(f"index: {CLIPS} codes")


def codes_of_all_clips() -> Codes:
    clips = read_index(Path("artifacts/features/tiny/index.csv"))
    return load_codes(Path("artifacts/codes") / CELL, 3, clips, 32)


def test_a_clip_of_the_database_finds_itself(project):
    make_index()
    codes = codes_of_all_clips()
    assert len(np.unique(codes.codes, axis=0)) == CLIPS  # else this would show nothing
    ids = load(Path("artifacts/indexes") / CELL).ids
    rows = np.flatnonzero(np.isin(codes.ids, ids))
    for row in rows[:3]:
        shown = search_stage.search(Path(f"data/tiny/{codes.ids[row]}.mp4"), 4, None)
        lines = [line.split() for line in shown.splitlines()]
        assert lines[0] == ["rank", "distance", "id", "labels"]
        hits, distances = nearest(codes.codes[[row]], codes.codes[rows], 4)
        expected = [
            [str(rank), str(distance), codes.ids[rows[hit]], codes.ids[rows[hit]].split("/")[0]]
            for rank, (hit, distance) in enumerate(zip(hits[0], distances[0], strict=True), 1)
        ]
        assert lines[1:] == expected
        assert expected[0][1:3] == ["0", codes.ids[row]]


def test_a_video_from_elsewhere_and_a_sheet(project, write_clip):
    make_index()
    video = write_clip(project / "new.avi", texture(99), fps=25)
    shown = search_stage.search(video, 10, Path("made/sheet.png"))
    assert len(shown.splitlines()) == 1 + 6  # all of the database
    assert search_stage.search(video, 10, Path("again.png")) == shown
    assert Path("made/sheet.png").read_bytes() == Path("again.png").read_bytes()
    # A copy of a clip in another codec is still nearest to it.
    clip = load(Path("artifacts/indexes") / CELL).ids[0]
    copy = write_clip(project / "copy.mkv", texture(int(clip[-2:])), codec="libx264")
    assert search_stage.search(copy, 1, None).splitlines()[1].split()[2] == clip


def command(monkeypatch, capsys, *arguments):
    """Run the command; what it exits with and what it prints."""
    monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
    sys.modules.pop("stages.search", None)  # runpy warns of a module that is there already
    try:
        runpy.run_module("stages.search", run_name="__main__")
    except SystemExit as end:
        return end.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_the_command(project, monkeypatch, capsys):
    make_index()
    code, out = command(monkeypatch, capsys, "data/tiny/run/00.mp4", "--k", 2, "--sheet", "a.png")
    assert code == 0 and len(out.splitlines()) == 3
    assert Path("a.png").exists()
    code, out = command(monkeypatch, capsys, "none.mp4")
    assert code == "error: none.mp4: no such file" and not out


def fails(message, video="data/tiny/run/00.mp4", k=3):
    with pytest.raises(InputError) as raised:
        search_stage.search(Path(video), k, None)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bad_videos(project):
    make_index()
    fails("none.mp4: no such file", "none.mp4")
    fails("data: no such file", "data")
    Path("text.mp4").write_text("no video")
    fails("text.mp4: cannot be opened: Invalid data", "text.mp4")
    whole = Path("data/tiny/run/00.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[:200])
    fails("cut.mp4: ", "cut.mp4")
    fails("k: expected a number above 0, not 0", k=0)


def test_a_video_whose_frames_do_not_decode(project):
    make_index()
    whole = Path("data/tiny/run/00.mp4").read_bytes()
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    Path("blank.mp4").write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    fails("blank.mp4: no frame decodes", "blank.mp4")


def test_missing_artifacts(project):
    fails(f"artifacts/indexes/{CELL}: no such index; run `dvc repro`")
    Path(f"artifacts/models/{CELL}/seed_3.pt").unlink()
    fails(f"artifacts/models/{CELL}/seed_3.pt: no such file; run `dvc repro`")
    with pytest.raises(InputError, match=r"seed_3.pt: no such file"):
        make_index()


def test_an_empty_index(project):
    make_index()
    folder = Path("artifacts/indexes") / CELL
    index = load(folder)
    index.faiss.reset()
    save(folder, Index(index.faiss, index.ids[:0], index.origin))
    fails("the index holds no codes")


def test_an_index_of_something_else(project):
    make_index()
    folder = Path("artifacts/indexes") / CELL
    weights = Path(f"artifacts/models/{CELL}/seed_3.pt")
    state = torch.load(weights)
    torch.save({**state, "mean": state["mean"] + 1}, weights)
    fails(f"{folder}: the index was made with different weights; run `dvc repro`")
    torch.save(state, weights)
    cnn = Path("artifacts/backbones/tiny.pt")
    torch.save({**torch.load(cnn), "more": torch.zeros(1)}, cnn)
    fails(f"{folder}: the index was made with different backbone; run `dvc repro`")

    other = build(np.zeros((3, 2), np.uint8), params.parse(SearchConfig, TINY["search"], "search"))
    made = load(folder).origin.model_copy(update={"bits": 16})
    save(folder, Index(other, np.array(["a", "b", "c"]), made))
    fails(f"{folder}: the index was made with different bits; run `dvc repro`")


def test_parameters_changed_since(project):
    make_index()
    weights = Path(f"artifacts/models/{CELL}/seed_3.pt")
    weights.rename(Path(weights.parent, "seed_4.pt"))
    write_params(seed=4)
    fails("the index was made with different seed; run `dvc repro`")
    Path(weights.parent, "seed_4.pt").rename(weights)
    write_params({"backbone": {"name": "resnet18"}})
    fails("artifacts/backbones/tiny.pt: not weights of resnet18, or damaged")
    write_params()
    state = torch.load(weights)
    torch.save({**state, "planes": state["planes"][:, :8]}, weights)
    make_index()
    fails(f"{weights}: not weights of the network that its model.json describes, or damaged")
    write_params({"decode": None})
    fails("ready features")


IDS = np.array(["a/1", "b/2", "c/3"])
FOUND_CLIPS = pd.DataFrame({"id": ["c/3", "b/2", "a/1"], "labels": ["c", "", "a;x"]})


def small_index(ids=IDS):
    config = params.parse(SearchConfig, TINY["search"], "search")
    codes = Codes(ids, np.array([[7], [0], [3]], np.uint8))
    made = Origin(dataset="d", method="m", bits=8, seed=0, weights="", backbone="")
    return Index(build(codes.codes, config), ids, made)


def test_find_by_hand():
    found = find(small_index(), np.array([[1]], np.uint8), FOUND_CLIPS, 3)
    assert found.to_numpy().tolist() == [
        [1, 1, "b/2", ""],
        [2, 1, "c/3", "c"],
        [3, 2, "a/1", "a;x"],
    ]
    assert as_text(found).splitlines() == [
        "rank  distance  id   labels",
        "   1         1  b/2",
        "   2         1  c/3  c",
        "   3         2  a/1  a;x",
    ]


def test_find_a_clip_that_is_gone():
    with pytest.raises(InputError, match=r"'a/1' is not among the clips; run `dvc repro`"):
        find(small_index(), np.array([[7]], np.uint8), FOUND_CLIPS[:2], 1)


def test_results_show_the_middle_frame_and_a_name():
    found = find(small_index(), np.array([[0]], np.uint8), FOUND_CLIPS, 2)
    frames = np.zeros((3, 4, 8, 8, 3), np.uint8)
    frames[1, 2], frames[0, 2] = 50, 70  # b/2 and c/3
    shown = [
        (int(one.image[0, 0, 0]), one.name, one.distance)
        for one in results(found, FOUND_CLIPS, frames)
    ]
    assert shown == [(50, "b/2", 0), (70, "c", 2)]


@pytest.mark.parametrize(("count", "rows"), [(1, 2), (5, 2), (6, 3), (10, 3)])
def test_contact_sheet(tmp_path, count, rows):
    query = np.arange(16, dtype=np.uint8)[:, None, None, None].repeat(9, 1).repeat(9, 2)
    query = query.repeat(3, 3)
    answers = [
        Result(np.full((9, 9, 3), 100 + number, np.uint8), "a long name of a clip " * 2, number)
        for number in range(count)
    ]
    figure = contact_sheet(query, "new $1.mp4", answers)
    drawn = [panel for panel in figure.axes if panel.images]
    values = [int(np.asarray(panel.images[0].get_array())[0, 0, 0]) for panel in drawn]
    assert values == [1, 4, 8, 11, 14, *range(100, 100 + count)]
    assert drawn[0].get_title(loc="left") == "query: new $1.mp4"
    assert drawn[5].get_xlabel().startswith("1: distance 0\na long name of a clip")
    assert len(drawn[5].get_xlabel().splitlines()[1]) == 24
    assert len(figure.axes) == 5 * rows

    FigureCanvasAgg(figure).draw()
    boxes = [panel.get_tightbbox() for panel in drawn]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])
    for name in ("one.png", "two.png"):
        save_figure(contact_sheet(query, "new $1.mp4", answers), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_sheet_of_nothing():
    with pytest.raises(InputError, match="no results"):
        contact_sheet(np.zeros((4, 8, 8, 3), np.uint8), "new.mp4", [])


def test_names_that_the_font_cannot_draw_are_escaped():
    assert drawable("wave/été Ω 1") == "wave/été Ω 1"
    assert drawable("猫/1") == "\\u732b/1"

"""The benchmarks' lists, read from miniatures."""

from pathlib import Path

import pandas as pd
import pytest
from miniatures import (
    MAKE,
    UCF_LISTS,
    fcvid_row,
    fill,
    lists,
    make_activitynet,
    make_fcvid,
    make_hmdb51,
    make_jhmdb,
    make_kinetics,
    make_ucf101,
)

from chain.core.errors import InputError
from chain.datasets import hmdb51, ucf101
from chain.datasets.activitynet import draw_queries
from chain.datasets.sources import SOURCES, source_config

SOURCE: dict[str, dict[str, object]] = {
    "ucf101": {"kind": "ucf101", "root": "unused", "fold": 1},
    "hmdb51": {"kind": "hmdb51", "root": "unused", "fold": 1},
    "jhmdb": {"kind": "jhmdb", "root": "unused", "fold": 1},
    "activitynet": {"kind": "activitynet", "root": "unused", "queries": 2, "seed": 0},
    "fcvid": {"kind": "fcvid", "root": "unused"},
    "kinetics": {"kind": "kinetics", "root": "unused", "csv_files": ["train.csv", "val.csv"]},
}


def index(kind: str, root: Path, **parameters: object) -> pd.DataFrame:
    config = source_config({**SOURCE[kind], **parameters}, "source", "params/mini.yaml")
    return SOURCES[kind][1](config, root, 2)


def rows(manifest: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(manifest[["id", "path", "labels", "split"]].itertuples(index=False, name=None))


# --------------------------------------------------------------------------------------------------
# The right manifests
# --------------------------------------------------------------------------------------------------


def test_ucf101(tmp_path: Path) -> None:
    make_ucf101(tmp_path)
    manifest = index("ucf101", tmp_path)
    makeup, yoyo = "ApplyEyeMakeup/v_ApplyEyeMakeup", "YoYo/v_YoYo"
    stand = "HandstandPushups/v_HandStandPushups_g08_c01"
    assert rows(manifest) == [
        (f"{makeup}_g01_c01", f"UCF-101/{makeup}_g01_c01.avi", "ApplyEyeMakeup", "test"),
        (f"{makeup}_g08_c01", f"UCF-101/{makeup}_g08_c01.avi", "ApplyEyeMakeup", "train"),
        (stand, f"UCF-101/{stand}.avi", "HandstandPushups", "train"),
        (f"{yoyo}_g01_c01", f"UCF-101/{yoyo}_g01_c01.avi", "YoYo", "test"),
        (f"{yoyo}_g25_c05", f"UCF-101/{yoyo}_g25_c05.avi", "YoYo", "train"),
    ]
    assert manifest.attrs["notes"] == [
        "clips found: train 3 (published: 9,537), test 2 (published: 3,783), "
        "all 5 (published: 13,320)"
    ]


def test_ucf101_second_fold_and_no_folder_of_the_archive(tmp_path: Path) -> None:
    lists(tmp_path, UCF_LISTS)
    fill(tmp_path, "YoYo/v_YoYo_g25_c05.avi", "YoYo/v_YoYo_g01_c01.avi", "YoYo/new.avi")
    manifest = index("ucf101", tmp_path, fold=2)
    assert manifest["split"].tolist() == ["train", "test"]
    assert manifest.attrs["notes"][0].startswith("clips found: train 1 (published: 9,586), test 1")
    assert manifest.attrs["notes"][1:] == ["1 clips in no list, left out: YoYo/new.avi"]


def test_published_counts_add_up() -> None:
    for counts in ucf101.PUBLISHED.values():
        assert counts["train"] + counts["test"] == counts["all"] == 13320
    assert hmdb51.PUBLISHED["train"] == 51 * 70 and hmdb51.PUBLISHED["test"] == 51 * 30


def test_hmdb51(tmp_path: Path) -> None:
    make_hmdb51(tmp_path)
    manifest = index("hmdb51", tmp_path)
    clip = "#{}_Clip_(f)_cm_np1_ba_bad_{}"
    expected = [
        (f"act_{a}/{clip.format(n, a)}", f"act_{a}/{clip.format(n, a)}.avi", f"act_{a}", split)
        for a in (0, 50)
        for n, split in ((0, "train"), (1, "test"))
    ]
    assert rows(manifest) == expected
    counts, missing = manifest.attrs["notes"]
    assert counts == (
        "clips found: train 2 (published: 3,570), test 2 (published: 1,530), "
        "all 6 (published: 6,766)"
    )
    assert missing.startswith("98 of 102 clips missing: act_1/#0_Clip")
    assert index("hmdb51", tmp_path, fold=2)["split"].tolist() == ["test", "train"] * 2


def test_jhmdb(tmp_path: Path) -> None:
    """The other clips of a category are not there; folds 2 and 3 have no published counts."""
    make_jhmdb(tmp_path)
    clip = "clip_f_nm_np1_fr_med_{}"
    expected = [
        (f"act_{a}/{clip.format(n)}", f"videos/act_{a}/{clip.format(n)}.avi", f"act_{a}", split)
        for a in (0, 20)
        for n, split in ((0, "train"), (1, "test"))
    ]
    assert rows(index("jhmdb", tmp_path)) == expected
    counts, missing = index("jhmdb", tmp_path).attrs["notes"]
    assert counts == (
        "clips found: all 4 (published: 928), train 2 (published: 660), test 2 (published: 268)"
    )
    assert missing.startswith(f"59 of 63 clips missing: act_0/{clip.format(2)}, act_1/")
    second = index("jhmdb", tmp_path, fold=2)
    assert second["split"].tolist() == ["test", "train"] * 2
    assert second.attrs["notes"][0] == "clips found: all 4 (published: 928)"


def test_activitynet(tmp_path: Path) -> None:
    make_activitynet(tmp_path)
    manifest = index("activitynet", tmp_path)
    by_id = {row[0]: row[1:] for row in rows(manifest)}
    assert by_id["---train0-A"] == ("videos/v_---train0-A.mp4", "Surfing", "train")
    train1 = ("videos/v_train1--B.mkv", "Cleaning shoes;Polishing shoes", "train")
    assert by_id["v_train1--B"] == train1
    assert by_id["valid-0---C"][0] == "videos/v_valid-0---C.webm"
    assert by_id["valid-1---D"][:2] == ("videos/valid-1---D.mp4", "Hula hoop;Surfing")
    assert "test-0----G" not in by_id and len(by_id) == 6
    splits = manifest["split"][manifest["id"].str.startswith("valid")].value_counts()
    assert splits.to_dict() == {"query": 2, "database": 2}
    assert manifest.attrs["notes"] == [
        "clips found: train 2 (published: 9,722), database 2 (published: 3,758), "
        "query 2 (published: 1,000)"
    ]


def test_queries() -> None:
    labels = {f"v{n}": ("odd;all" if n % 2 else "even;all") for n in range(200)}
    drawn = draw_queries(labels, 40, seed=3)
    assert len(set(drawn)) == 40 and set(drawn) < set(labels)
    assert 8 < sum(labels[name].startswith("odd") for name in drawn) < 32
    assert draw_queries(dict(reversed(labels.items())), 40, seed=3) == drawn
    assert draw_queries(labels, 40, seed=4) != drawn
    gone = drawn[:5] + sorted(set(labels) - set(drawn))[:50]
    partial = draw_queries({n: x for n, x in labels.items() if n not in gone}, 40, seed=3)
    assert partial[:35] == drawn[5:]


def test_every_category_of_a_query_stays_in_the_database() -> None:
    labels = {"a": "x", "b": "x", "c": "x;y", "d": "y", "e": "z"}
    for seed in range(20):
        drawn = draw_queries(labels, 5, seed)
        left = {x for name, text in labels.items() if name not in drawn for x in text.split(";")}
        assert left == {"x", "y", "z"} and 2 <= len(drawn) <= 3


def test_fcvid(tmp_path: Path) -> None:
    make_fcvid(tmp_path)
    manifest = index("fcvid", tmp_path)
    assert rows(manifest) == [
        ("beach/one", "v/beach/one.mp4", "001", "train"),
        ("beach/two", "v/beach/two.mp4", "001;239", "test"),
        ("four", "v/panda/four.mkv", "002", "train"),
        ("panda/three", "v/panda/three.mp4", "002;239", "test"),
    ]
    assert manifest.attrs["notes"] == [
        "clips found: train 2 (published: 45,585), test 2 (published: 45,600)"
    ]


def test_fcvid_categories(tmp_path: Path) -> None:
    make_fcvid(tmp_path)
    labels = index("fcvid", tmp_path, category_file="names.txt")["labels"].tolist()
    first, second = "category number 1", "category number 2"
    assert labels == [first, f"{first};making cake", second, f"{second};making cake"]


def test_kinetics(tmp_path: Path) -> None:
    make_kinetics(tmp_path)
    manifest = index("kinetics", tmp_path)
    first, second = "-4t4iAQnXVk_000001_000011", "Zv_4tGEnAYo_000095_000105"
    third = "bu8l-wrkKIQ_001231_001241"
    assert rows(manifest) == [
        (first, f"train/abseiling/{first}.mp4", "abseiling", "train"),
        (second, f"train/tai_chi/{second}.mp4", "tai chi, slow", "train"),
        (third, f"val/{third}.mp4", "abseiling", "validate"),
    ]
    assert manifest.attrs["notes"] == []


# --------------------------------------------------------------------------------------------------
# Bad input: one line that names the file
# --------------------------------------------------------------------------------------------------

UCF, HMDB = "ucfTrainTestlist", "testTrainMulti_7030_splits"
FCVID, FCVID_LABELS = "FCVID_VideoName_TrainTestSplit.txt", "FCVID_Label.txt"
LIST_OF = {
    "ucf101": f"{UCF}/testlist01.txt",
    "hmdb51": f"{HMDB}/act_7_test_split1.txt",
    "jhmdb": "splits/act_7_test_split1.txt",
    "activitynet": "activity_net.v1-3.min.json",
    "fcvid": FCVID_LABELS,
    "kinetics": "val.csv",
}

LISTS_BY_CATEGORY = {"hmdb51": (HMDB, 51), "jhmdb": ("splits", 21)}


def refused(kind: str, root: Path, **parameters: object) -> str:
    with pytest.raises(InputError) as caught:
        index(kind, root, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


@pytest.mark.parametrize("kind", MAKE)
def test_missing_list(tmp_path: Path, kind: str) -> None:
    MAKE[kind](tmp_path)
    (tmp_path / LIST_OF[kind]).unlink()
    if kind in LISTS_BY_CATEGORY:
        folder, count = LISTS_BY_CATEGORY[kind]
        expected = f"ROOT/{folder}: {count - 1} lists <category>_test_split1.txt, expected {count}"
    else:
        expected = f"ROOT/{LIST_OF[kind]}: no such list"
    assert refused(kind, tmp_path) == expected
    assert "no such list" in refused(kind, tmp_path / "nowhere") or kind in LISTS_BY_CATEGORY


@pytest.mark.parametrize("kind", MAKE)
def test_nothing_found(tmp_path: Path, kind: str) -> None:
    MAKE[kind](tmp_path)
    for path in [path for path in tmp_path.rglob("*.*") if path.suffix in (".avi", ".mkv", ".mp4")]:
        path.unlink()
    for path in tmp_path.rglob("*.webm"):
        path.rename(path.with_name("other.webm"))
    assert refused(kind, tmp_path).startswith("ROOT: no")
    fill(tmp_path, "other.mp4")
    assert " clips that the lists name is here" in refused(kind, tmp_path)


@pytest.mark.parametrize("kind", MAKE)
def test_clip_that_lies_there_twice(tmp_path: Path, kind: str) -> None:
    MAKE[kind](tmp_path)
    first = index(kind, tmp_path)["path"][0]
    fill(tmp_path, str(Path("copy", *Path(first).parts).with_suffix(".mov")))
    message = refused(kind, tmp_path)
    assert f"{first} and " in message or f" and {first} " in message
    assert ".mov" in message and " are both clip " in message


@pytest.mark.parametrize("kind", MAKE)
def test_same_bytes_and_missing_files_are_noted(tmp_path: Path, kind: str) -> None:
    MAKE[kind](tmp_path)
    ids, paths = index(kind, tmp_path)[["id", "path"]].head(3).to_numpy().T
    (tmp_path / paths[1]).write_bytes((tmp_path / paths[0]).read_bytes())
    (tmp_path / paths[2]).unlink()
    manifest = index(kind, tmp_path)
    assert ids[2] not in set(manifest["id"])
    notes = "\n".join(manifest.attrs["notes"])
    assert f"1 sets of clips with the same bytes: {ids[0]} = {ids[1]}" in notes
    assert " clips missing: " in notes


@pytest.mark.parametrize(
    ("kind", "file", "line", "where"),
    [
        ("ucf101", f"{UCF}/classInd.txt", "ApplyLipstick", ":4: expected <number> <category>"),
        ("ucf101", f"{UCF}/classInd.txt", "2 YoYo", ":4: expected <number> <category>"),
        ("ucf101", f"{UCF}/trainlist01.txt", "YoYo/v_a.avi 100", ":4: expected <category>/<clip>"),
        ("ucf101", f"{UCF}/trainlist01.txt", "Yoyo/v_a.avi 101", ":4: expected <category>/<clip>"),
        ("ucf101", f"{UCF}/testlist01.txt", "v_YoYo_g02.avi", ":3: expected <category>/<clip>"),
        ("ucf101", f"{UCF}/testlist01.txt", "YoYo", ":3: expected <category>/<clip>"),
        ("ucf101", f"{UCF}/testlist01.txt", "YoYo/v_YoYo_g25_c05.avi", ":3: clip 'YoYo/v_YoYo_g25"),
        ("hmdb51", f"{HMDB}/act_7_test_split1.txt", "clip.avi 3", ":4: expected <clip>"),
        ("hmdb51", f"{HMDB}/act_7_test_split1.txt", "clip.avi", ":4: expected <clip>"),
        (
            "hmdb51",
            f"{HMDB}/act_7_test_split1.txt",
            "#0_Clip_(f)_cm_np1_ba_bad_7.avi 2",
            ":4: clip 'act_7/#0_Clip_(f)_cm_np1_ba_bad_7' is listed a second time",
        ),
        ("jhmdb", "splits/act_7_test_split1.txt", "clip.avi 0", ":4: expected <clip> <1, 2>"),
        ("fcvid", FCVID_LABELS, fcvid_row(1), ": 5 rows of labels for the 4 videos"),
        ("fcvid", FCVID, "beach/five.mp4 train", ": 4 rows of labels for the 5 videos"),
        ("kinetics", "train.csv", "abseiling,a,1,11", ":4: expected label, youtube_id"),
        ("kinetics", "train.csv", "abseiling,a,1.5,11.5,train", ":4: expected label, youtube_id"),
        ("kinetics", "val.csv", "train,yoga,11,1,-4t4iAQnXVk", ":3: clip '-4t4iAQnXVk_000001_00"),
        ("kinetics", "val.csv", "train,a;b,11,1,x", ":3: label 'a;b' must not contain ';'"),
    ],
)
def test_bad_line(tmp_path: Path, kind: str, file: str, line: str, where: str) -> None:
    MAKE[kind](tmp_path)
    with (tmp_path / file).open("a") as list_file:
        list_file.write(line + "\n")
    place = FCVID_LABELS if file == FCVID else file
    assert refused(kind, tmp_path).startswith(f"ROOT/{place}{where}")


@pytest.mark.parametrize(
    ("listed", "labels", "message"),
    [
        ("one.mp4 3", fcvid_row(1), f"{FCVID}:1: expected <video> <1 | train | 2 | test>"),
        ("train", fcvid_row(1), f"{FCVID}:1: expected <video>"),
        ("one.mp4 1", fcvid_row(1) + " 0", f"{FCVID_LABELS}:1: expected 239 times 0 or 1"),
        ("one.mp4 1", fcvid_row(1)[:-2], f"{FCVID_LABELS}:1: expected 239 times 0 or 1"),
        ("one.mp4 1", "2" + fcvid_row(1)[1:], f"{FCVID_LABELS}:1: expected 239 times 0 or 1"),
        ("one.mp4 1", "x" + fcvid_row(1)[1:], f"{FCVID_LABELS}:1: expected 239 times 0 or 1"),
    ],
)
def test_bad_fcvid_row(tmp_path: Path, listed: str, labels: str, message: str) -> None:
    lists(tmp_path, {FCVID: [listed], FCVID_LABELS: [labels]})
    assert refused("fcvid", tmp_path).startswith(f"ROOT/{message}")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["beach", "panda"], ": 2 categories, expected 239"),
        (["1 beach", "2 beach"], ":2: expected the name of another category, found '2 beach'"),
        (["1 beach", "2"], ":2: expected the name of another category, found '2'"),
    ],
)
def test_bad_fcvid_categories(tmp_path: Path, names: list[str], message: str) -> None:
    make_fcvid(tmp_path)
    lists(tmp_path, {"names.txt": names})
    assert refused("fcvid", tmp_path, category_file="names.txt") == f"ROOT/names.txt{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "file: Input should be a valid dictionary"),
        ("{}", "database: Field required"),
        ('{"database": {"a": {}, "a": {}}}', "'a' is there twice"),
        (
            '{"database": {"a": {"subset": "train", "annotations": []}}}',
            "database.a.subset: Input should be 'training', 'validation' or 'testing'",
        ),
        (
            '{"database": {"a": {"subset": "training", "annotations": [{"segment": []}]}}}',
            "database.a.annotations.0.label: Field required",
        ),
        (
            '{"database": {"a": {"subset": "training", "annotations": []}}}',
            "database.a: no label, but in training",
        ),
        (
            '{"database": {"a": {"subset": "testing", "annotations": [{"label": "x;y"}]}}}',
            "database.a: label 'x;y' must not contain ';'",
        ),
    ],
)
def test_bad_annotations(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "activity_net.v1-3.min.json").write_text(text)
    expected = f"ROOT/activity_net.v1-3.min.json: {message}"
    assert refused("activitynet", tmp_path).startswith(expected)


@pytest.mark.parametrize("column", ["label", "youtube_id", "time_start", "time_end", "split"])
def test_missing_column(tmp_path: Path, column: str) -> None:
    make_kinetics(tmp_path)
    text = (tmp_path / "train.csv").read_text().replace(column, "other")
    (tmp_path / "train.csv").write_text(text)
    assert refused("kinetics", tmp_path) == f"ROOT/train.csv: no column {column!r}"


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("ucf101", {"fold": 4}),
        ("hmdb51", {"fold": 0}),
        ("jhmdb", {"fold": 4}),
        ("activitynet", {"queries": 0}),
        ("activitynet", {"seed": -1}),
        ("fcvid", {"fold": 1}),
        ("kinetics", {"csv_files": []}),
    ],
)
def test_bad_config(kind: str, bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match=rf"^params/mini\.yaml: source\.{next(iter(bad))}:"):
        source_config({**SOURCE[kind], **bad}, "source", "params/mini.yaml")

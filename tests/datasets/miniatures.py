"""Miniatures of the benchmarks: lists in their official formats and a handful of tiny files."""

import json
from collections.abc import Callable
from pathlib import Path

Put = Callable[[Path, str], object]
"""Makes the file at a path below a root; its folder is there."""


def put_text(root: Path, path: str) -> None:
    """A file whose content is its own path: indexing decodes nothing."""
    (root / path).write_text(path)


def fill(root: Path, *paths: str, put: Put = put_text) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        put(root, path)


def lists(root: Path, files: dict[str, list[str]], ending: str = "\n") -> None:
    for name, lines in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes("".join(line + ending for line in lines).encode())


UCF_LISTS = {
    "ucfTrainTestlist/classInd.txt": ["1 ApplyEyeMakeup", "37 HandstandPushups", "101 YoYo"],
    "ucfTrainTestlist/trainlist01.txt": [
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
        "HandstandPushups/v_HandStandPushups_g08_c01.avi 37",
        "YoYo/v_YoYo_g25_c05.avi 101",
    ],
    "ucfTrainTestlist/testlist01.txt": [
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "YoYo/v_YoYo_g01_c01.avi",
    ],
    "ucfTrainTestlist/trainlist02.txt": ["YoYo/v_YoYo_g01_c01.avi 101"],
    "ucfTrainTestlist/testlist02.txt": ["YoYo/v_YoYo_g25_c05.avi"],
}


def make_ucf101(root: Path, put: Put = put_text) -> None:
    lists(root, UCF_LISTS, ending="\r\n")
    fill(
        root,
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi",
        "UCF-101/YoYo/v_YoYo_g25_c05.avi",
        "UCF-101/YoYo/v_YoYo_g01_c01.avi",
        put=put,
    )


def make_hmdb51(root: Path, put: Put = put_text) -> None:
    for fold, codes in ((1, "120"), (2, "201")):
        for number in range(51):
            clips = [f"#{n}_Clip_(f)_cm_np1_ba_bad_{number}.avi {c} " for n, c in enumerate(codes)]
            name = f"testTrainMulti_7030_splits/act_{number}_test_split{fold}.txt"
            lists(root, {name: clips})
    paths = (f"act_{a}/#{n}_Clip_(f)_cm_np1_ba_bad_{a}.avi" for a in (0, 50) for n in range(3))
    fill(root, *paths, put=put)


def make_jhmdb(root: Path, put: Put = put_text) -> None:
    for fold, codes in ((1, "122"), (2, "212")):
        for number in range(21):
            clips = [f"clip_f_nm_np1_fr_med_{n}.avi {code}" for n, code in enumerate(codes)]
            lists(root, {f"splits/act_{number}_test_split{fold}.txt": clips})
    paths = (f"videos/act_{a}/clip_f_nm_np1_fr_med_{n}.avi" for a in (0, 20) for n in range(2))
    fill(root, *paths, put=put)


ACTIVITYNET = {
    "version": "VERSION 1.3",
    "taxonomy": [{"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None}],
    "database": {
        name: {
            "duration": 82.7,
            "subset": subset,
            "resolution": "320x240",
            "url": f"https://www.youtube.com/watch?v={name}",
            "annotations": [{"segment": [0.5 * n, 9.0], "label": x} for n, x in enumerate(labels)],
        }
        for name, subset, labels in (
            ("---train0-A", "training", ["Surfing", "Surfing"]),
            ("v_train1--B", "training", ["Polishing shoes", "Cleaning shoes", "Polishing shoes"]),
            ("valid-0---C", "validation", ["Surfing"]),
            ("valid-1---D", "validation", ["Surfing", "Hula hoop"]),
            ("valid-2---E", "validation", ["Hula hoop"]),
            ("valid-3---F", "validation", ["Surfing"]),
            ("test-0----G", "testing", []),
        )
    },
}


def make_activitynet(root: Path, put: Put = put_text) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "activity_net.v1-3.min.json").write_text(json.dumps(ACTIVITYNET))
    fill(
        root,
        "videos/v_---train0-A.mp4",
        "videos/v_train1--B.mkv",
        "videos/v_valid-0---C.webm",
        "videos/valid-1---D.mp4",
        "videos/v_valid-2---E.mp4",
        "videos/v_valid-3---F.mp4",
        "videos/v_test-0----G.mp4",
        put=put,
    )


def fcvid_row(*ones: int, separator: str = " ") -> str:
    """Labels with a 1 in the columns `ones`, counted from 1."""
    return separator.join("1" if column in ones else "0" for column in range(1, 240))


FCVID_LISTS = {
    "FCVID_VideoName_TrainTestSplit.txt": [
        "beach/one.mp4\ttrain",
        "beach/two.flv\ttest",
        "panda/three.mp4 2",
        "four 1",
    ],
    "FCVID_Label.txt": [
        fcvid_row(1),
        fcvid_row(239, 1),
        fcvid_row(2, 239, separator=","),
        fcvid_row(2).replace("0", "0.000e+00").replace("1 ", "1.000e+00 "),
    ],
    "names.txt": [f"{n} category number {n}" for n in range(1, 239)] + ["making cake"],
}


def make_fcvid(root: Path, put: Put = put_text) -> None:
    lists(root, FCVID_LISTS)
    clips = ("beach/one.mp4", "beach/two.mp4", "panda/three.mp4", "panda/four.mkv")
    fill(root, *(f"v/{clip}" for clip in clips), put=put)


KINETICS_LISTS = {
    "train.csv": [
        "label,youtube_id,time_start,time_end,split,is_cc",
        "abseiling,-4t4iAQnXVk,1,11,train,0",
        '"tai chi, slow",Zv_4tGEnAYo,000095,000105,train,1',
    ],
    "val.csv": [
        "split,label,time_end,time_start,youtube_id",
        "validate,abseiling,1241,1231,bu8l-wrkKIQ",
    ],
}


def make_kinetics(root: Path, put: Put = put_text) -> None:
    lists(root, KINETICS_LISTS)
    fill(
        root,
        "train/abseiling/-4t4iAQnXVk_000001_000011.mp4",
        "train/tai_chi/Zv_4tGEnAYo_000095_000105.mp4",
        "val/bu8l-wrkKIQ_001231_001241.mp4",
        put=put,
    )


def make_folder(root: Path, put: Put = put_text) -> None:
    """Of each category two clips for training, one for the database and one query, as listed."""
    fill(root, *(f"{c}/{n}.mp4" for c in ("golf", "wave") for n in range(4)), put=put)
    splits = {"golf": "train database query train", "wave": "train train query database"}
    listed = [f"{c}/{n}.mp4,{s}" for c in splits for n, s in enumerate(splits[c].split())]
    (root / "splits.csv").write_text("\n".join(["path,split", *listed]))


MAKE: dict[str, Callable[..., None]] = {
    "ucf101": make_ucf101,
    "hmdb51": make_hmdb51,
    "jhmdb": make_jhmdb,
    "activitynet": make_activitynet,
    "fcvid": make_fcvid,
    "kinetics": make_kinetics,
}

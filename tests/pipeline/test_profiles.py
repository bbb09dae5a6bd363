"""The committed profiles with all methods: they are sound, and merge to what is meant."""

from pathlib import Path
from typing import Any

import pytest
from checking import checked
from parameter_files import DATASETS, EXPERIMENT, profile

from chain.core.errors import InputError
from chain.methods import METHODS
from chain.pipeline.schema import Checked

FEW_DRAWS = "spatial.per_frame, strength.weak, strength.strong"
"""What a bank of `consistent` draws alone leaves out."""


def weights_file(dataset: str) -> str | None:
    """The file of weights that a profile names."""
    weights = (profile(dataset)["backbone"] or {"weights": ""})["weights"]
    return weights if Path(weights).suffix in (".pth", ".pt") else None


@pytest.fixture(autouse=True)
def _every_file_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in filter(None, map(weights_file, DATASETS)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()


def with_every_method(*datasets: str) -> Checked:
    return checked({"datasets": list(datasets), "grid": {"methods": list(METHODS)}})


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_profile_is_sound(dataset: str) -> None:
    found = with_every_method(dataset)
    for method in METHODS:
        found.config(dataset, method)
    left_out = f"ablations left out on {dataset}: {FEW_DRAWS}"
    assert found.left_out == ([] if dataset == "demo" else [left_out])


def test_all_profiles_together_are_sound() -> None:
    found = with_every_method(*DATASETS)
    assert list(found.profiles) == DATASETS
    assert len(found.left_out) == len(DATASETS) - 1


@pytest.mark.parametrize("dataset", [name for name in DATASETS if weights_file(name)])
def test_weights_have_to_be_there(dataset: str) -> None:
    file = weights_file(dataset)
    assert file
    Path(file).unlink()
    with pytest.raises(InputError, match=rf"^params/{dataset}\.yaml: backbone\.weights: '{file}'"):
        with_every_method(dataset)


def test_every_method_has_a_block() -> None:
    assert list(EXPERIMENT["methods"]) == ["all", *METHODS]
    slow = ("s5vh", "autossvh")  # not in the grid unless asked for
    assert EXPERIMENT["grid"]["methods"] == [name for name in METHODS if name not in slow]


PUBLISHED_TRAINING = {
    "optimiser": "adam",
    "lr": 0.0001,
    "weight_decay": 0.0,
    "schedule": "step",
    "floor": 0.00001,
    "precision": "fp32",
}
PUBLISHED_S5VH = PUBLISHED_TRAINING | {
    "optimiser": "adamw",
    "lr": 0.0005,
    "weight_decay": 0.0001,
    "schedule": "cosine",
}
AUTOSSVH = {
    "encoder": {"width": 256, "depth": 12, "heads": 6},
    "decoder": {"width": 192, "depth": 2, "heads": 3},
    "temperature": 0.5,
    "sampler": "random",
    "prototypes": [250, 400, 600],
}
EXPECTED: dict[tuple[str, str], dict[str, Any]] = {
    ("jhmdb12", "lsh"): {"frames": 8, "training": None},
    ("demo", "pca_itq"): {"frames": 8, "training": None, "iterations": 50},
    ("demo", "chain_plus"): {
        "frames": 8,
        "training": PUBLISHED_TRAINING | {"epochs": 60, "batch": 64, "lr": 0.0005},
        "encoder": {"kind": "transformer", "width": 128, "depth": 1, "heads": 6, "dropout": 0.2},
        "sampling": "segment",
        "spatial": "consistent",
        "stand_in": {"kind": "dropout", "strength": 0.2},
        "weights": {"contrastive": 1.0, "order": 1.0, "scene": 0.1, "neighbourhood": 3.0},
        "temperature": 0.5,
        "tau_plus": 0.1,
        "order": {"share": 0.5, "positions": True, "read": "states"},
        "scene": {"preference": 4.0, "damping": 0.5, "temperature": 0.2, "read": "states"},
        "clean_view": True,
        "parts": 2,
    },
    ("hmdb51", "conmh"): {
        "frames": 25,
        "training": PUBLISHED_TRAINING | {"epochs": 350, "batch": 128},
        "encoder": {"width": 256, "depth": 12, "heads": 6},
        "decoder": {"width": 192, "depth": 2, "heads": 3},
        "mask_ratio": 0.5,
        "contrastive_weight": 1.0,
        "temperature": 0.5,
        "tau_plus": 0.05,
    },
    ("yfcc_features", "bth"): {
        "frames": 25,
        "training": PUBLISHED_TRAINING
        | {"epochs": 112, "batch": 256, "lr": 0.0003, "floor": 0.0001},
        "width": 256,
        "dropout": 0.1,
        "pretrain_epochs": 56,
        "anchors": 2000,
        "weights": {"reconstruction": 0.92, "neighbourhood": 0.08, "anchor": 0.8},
    },
    ("activitynet", "wsch"): {
        "frames": 30,
        "training": PUBLISHED_TRAINING | {"epochs": 700, "batch": 128, "floor": 0.0001},
        "encoder": {"width": 1024, "heads": 4},
        "decoder": {"width": 1024, "heads": 4},
        "first_mask_ratio": 0.9,
        "second_mask_ratio": 0.6,
        "warmup_epochs": 100,
        "clusters": 800,
        "cluster_temperature": 0.2,
        "temperature": 0.5,
        "tau_plus": 0.1,
        "weights": {"cluster": 0.02, "contrastive": 1.0},
    },
    ("activitynet_features", "s5vh"): {
        "frames": 30,
        "training": PUBLISHED_S5VH | {"epochs": 350, "batch": 128},
        "encoder": {"width": 256, "depth": 6},
        "decoder": {"width": 192, "depth": 1},
        "mask_ratio": 0.5,
        "contrastive_weight": 0.2,
        "temperature": 0.5,
        "tau_plus": 0.05,
        "centres": "learned",
        "clusters": 100,
        "components": 512,
        "centre_weight": 0.001,
        "centre_temperature": 0.5,
        "warmup_epochs": 50,
    },
    ("ucf101", "s5vh"): {
        "frames": 25,
        "training": PUBLISHED_S5VH | {"epochs": 350, "batch": 128},
        "encoder": {"width": 256, "depth": 6},
        "decoder": {"width": 192, "depth": 1},
        "mask_ratio": 0.5,
        "contrastive_weight": 1.0,
        "temperature": 0.5,
        "tau_plus": 0.1,
        "centres": "learned",
        "clusters": 101,
        "components": 512,
        "centre_weight": 0.1,
        "centre_temperature": 0.5,
        "warmup_epochs": 50,
    },
    ("activitynet", "autossvh"): {
        **AUTOSSVH,
        "frames": 30,
        "training": PUBLISHED_TRAINING | {"epochs": 800, "batch": 128, "floor": 1e-6},
        "mask_ratio": 0.5,
        "contrastive_weight": 0.2,
        "tau_plus": 0.05,
        "dropout": 0.2,
        "prototype_weight": 0.01,
        "warmup_epochs": 100,
    },
    ("hmdb51_features", "autossvh"): {
        **AUTOSSVH,
        "frames": 25,
        "training": PUBLISHED_TRAINING | {"epochs": 350, "batch": 128, "floor": 1e-6},
        "mask_ratio": 0.7,
        "contrastive_weight": 1.0,
        "tau_plus": 0.1,
        "dropout": 0.0,
        "prototype_weight": 0.2,
        "warmup_epochs": 50,
    },
    ("fcvid_features", "chain"): {
        "frames": 25,
        "training": PUBLISHED_TRAINING | {"epochs": 800, "batch": 512},
        "encoder": {"kind": "transformer", "width": 256, "depth": 12, "heads": 6, "dropout": 0.0},
        "sampling": "segment",
        "spatial": "feature",
        "stand_in": {"kind": "dropout", "strength": 0.2},
        "weights": {"contrastive": 1.0, "order": 0.1, "scene": 0.1},
        "temperature": 0.5,
        "tau_plus": 0.1,
        "order": {"share": 0.5, "positions": True, "read": "states"},
        "scene": {"preference": 4.0, "damping": 0.5, "temperature": 0.2, "read": "states"},
    },
}


@pytest.mark.parametrize(("dataset", "method"), EXPECTED)
def test_recipes_by_hand(dataset: str, method: str) -> None:
    found = with_every_method(dataset).config(dataset, method)
    assert found.model_dump(mode="json") == EXPECTED[dataset, method]


def test_a_variant_s_recipe_by_hand() -> None:
    method, found = with_every_method("demo").variants("demo", "tasks")
    assert method == "chain"
    weights = {name: config.model_dump()["weights"] for name, config in found.items()}
    assert weights == {
        "contrastive": {"contrastive": 1.0, "order": 0.0, "scene": 0.0},
        "contrastive_order": {"contrastive": 1.0, "order": 1.0, "scene": 0.0},
        "contrastive_scene": {"contrastive": 1.0, "order": 0.0, "scene": 0.1},
        "order_scene": {"contrastive": 0.0, "order": 1.0, "scene": 0.1},
    }
    unchanged = with_every_method("demo").config("demo", "chain")
    assert {config.model_dump_json(exclude={"weights"}) for config in found.values()} == {
        unchanged.model_dump_json(exclude={"weights"})
    }


def test_variants_of_a_method_that_is_not_compared_are_left_out() -> None:
    found = checked(
        {"grid": {"methods": ["conmh", "chain"]}, "ablations": {"tables": ["additions"]}}
    )
    assert found.variants("demo", "additions") == ("chain_plus", {})
    names = ", ".join(f"additions.no_{what}" for what in ("clean_view", "dropout", "neighbourhood"))
    assert found.left_out == [f"ablations left out on demo: {names}"]
    compared = checked({"ablations": {"tables": ["additions"]}})
    assert len(compared.variants("demo", "additions")[1]) == 3 and compared.left_out == []
    assert checked({"ablations": {"tables": []}}).left_out == []


def test_an_unknown_table() -> None:
    with pytest.raises(InputError, match=r"^params\.yaml: ablations\.tables: 'tusks' is not under"):
        checked().variants("demo", "tusks")

"""Parameters merged from layers, with two methods of few parameters."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.methods.base import MethodConfig
from chain.pipeline import layers
from chain.pipeline.layers import Layer, Layers, applicable

FILE = Path("params/mini.yaml")


class Size(Parameters):
    width: int
    depth: int


class Rate(Parameters):
    lr: float
    epochs: int = 1


class LearnedConfig(MethodConfig):
    training: Rate  # type: ignore[assignment]
    size: Size
    kind: str = "a"


class Learned:
    Config: ClassVar = LearnedConfig


class Plain:
    Config: ClassVar = MethodConfig


@pytest.fixture(autouse=True)
def _two_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"learned": Learned, "plain": Plain}
    monkeypatch.setattr(layers, "METHODS", found)
    monkeypatch.setattr(layers, "method_class", found.__getitem__)
    monkeypatch.setattr("chain.methods.method_class", found.__getitem__)


PUBLISHED: dict[str, Any] = {
    "all": {"frames": 25, "training": {"lr": 0.1}},
    "plain": {},
    "learned": {"size": {"width": 8, "depth": 2}},
}


def merged(
    method: str,
    profile: dict[str, Any] | None = None,
    published: dict[str, Any] = PUBLISHED,
    change: Layer | None = None,
) -> dict[str, Any]:
    return Layers(published, profile or {}, FILE).config(method, change).model_dump()


def test_all_holds_for_each_method_that_has_such_parameters() -> None:
    assert merged("plain") == {"frames": 25, "training": None}
    assert merged("learned") == {
        "frames": 25,
        "training": {"lr": 0.1, "epochs": 1},
        "size": {"width": 8, "depth": 2},
        "kind": "a",
    }


def test_a_later_layer_overrides_an_earlier_one() -> None:
    """Both blocks of params.yaml, then both of the profile, then an ablation; each key alone."""
    published = {
        "all": {"frames": 1, "training": {"lr": 0.1, "epochs": 1}, "kind": "all"},
        "learned": {"frames": 2, "training": {"epochs": 2}, "size": {"width": 2, "depth": 2}},
    }
    profile = {
        "all": {"frames": 3, "training": {"epochs": 3}, "size": {"width": 3}},
        "learned": {"frames": 4, "size": {"depth": 4}},
    }
    change = Layer({"frames": 5, "size": {"depth": 5}}, "ablations.variants.learned.t.v")
    assert merged("learned", None, published) == {
        "frames": 2,
        "training": {"lr": 0.1, "epochs": 2},
        "size": {"width": 2, "depth": 2},
        "kind": "all",
    }
    assert merged("learned", profile, published) == {
        "frames": 4,
        "training": {"lr": 0.1, "epochs": 3},
        "size": {"width": 3, "depth": 4},
        "kind": "all",
    }
    assert merged("learned", profile, published, change) == {
        "frames": 5,
        "training": {"lr": 0.1, "epochs": 3},
        "size": {"width": 3, "depth": 5},
        "kind": "all",
    }


def test_the_layers_stay_as_they_were() -> None:
    published = {"all": {"training": {"lr": 0.1}}, "learned": {"size": {"width": 1, "depth": 1}}}
    before = repr(published)
    merged("learned", {"all": {"frames": 1, "size": {"width": 9}}}, published)
    assert repr(published) == before


def test_applicable_by_hand() -> None:
    shared = {"frames": 1, "training": {"lr": 1.0, "steps": 2}, "size": {"width": 3}, "other": 4}
    assert applicable(shared, MethodConfig) == {"frames": 1}
    assert applicable(shared, LearnedConfig) == {
        "frames": 1,
        "training": {"lr": 1.0},
        "size": {"width": 3},
    }


@pytest.mark.parametrize(
    ("shared", "key"),
    [
        ({"frame": 3}, "frame"),
        ({"training": {"lr": 0.1, "steps": 3}}, "training.steps"),
        ({"width": 3}, "width"),  # it is size.width
        ({"frames": {"few": 3}}, "frames.few"),
        ({"lr": 0.1, "frames": 3}, "lr"),
    ],
)
def test_a_key_of_all_that_no_method_has(shared: dict[str, Any], key: str) -> None:
    message = rf"methods\.all\.{key}: no method has this parameter$"
    with pytest.raises(InputError, match=rf"^params\.yaml: {message}"):
        Layers({"all": shared}).check()
    with pytest.raises(InputError, match=rf"^params/mini\.yaml: {message}"):
        Layers(PUBLISHED, {"all": shared}, FILE).check()


def test_sound_layers_pass_the_check() -> None:
    Layers(PUBLISHED, {"all": {"kind": "b", "size": {}}, "plain": {}}, FILE).check()
    Layers({}).check()


def test_a_block_of_no_method() -> None:
    message = r"methods: 'learnt' is no method \(there: all, learned, plain\)$"
    with pytest.raises(InputError, match=rf"^params\.yaml: {message}"):
        Layers({"learnt": {}}).check()
    with pytest.raises(InputError, match=rf"^params/mini\.yaml: {message}"):
        Layers(PUBLISHED, {"learnt": {}}, FILE).check()


def test_a_method_without_a_block() -> None:
    with pytest.raises(InputError, match=r"^params\.yaml: methods: no block 'plain'"):
        merged("plain", {"plain": {}}, {"all": {"frames": 1}})


WIDE = {"size": {"width": "wide"}}


@pytest.mark.parametrize(
    ("published", "profile", "change", "place"),
    [
        ({"all": {"frames": 0}}, {}, {}, "params.yaml: methods.all.frames: "),
        ({"all": {"frames": "x"}, "learned": {}}, {}, {}, "params.yaml: methods.all.frames: "),
        ({"learned": {"frames": 0}}, {}, {}, "params.yaml: methods.learned.frames: "),
        ({"learned": WIDE}, {}, {}, "params.yaml: methods.learned.size.width: "),
        ({}, {"all": {"frames": 0}}, {}, "params/mini.yaml: methods.all.frames: "),
        ({}, {"learned": WIDE}, {}, "params/mini.yaml: methods.learned.size.width: "),
        ({}, {"all": {"size": 3}}, {}, "params/mini.yaml: methods.all.size: "),
        ({}, {"learned": {"more": {}}}, {}, "params/mini.yaml: methods.learned.more: unknown"),
        ({}, {}, WIDE, "params.yaml: place.size.width: "),
        ({}, {}, {"more": 1}, "params.yaml: place.more: unknown parameter"),
        ({"learned": WIDE}, {"all": WIDE}, {}, "params/mini.yaml: methods.all.size.width: "),
        (
            {"learned": WIDE},
            {"all": {"size": {"depth": 1}}},
            {},
            "params.yaml: methods.learned.size",
        ),
        # What no layer sets is missing in the method's own block.
        ({"learned": {"size": None}}, {}, {}, "params.yaml: methods.learned.size: "),
        ({"learned": {}, "all": {}}, {}, {}, "params.yaml: methods.learned.frames: missing"),
        (
            {"learned": {"size": {"width": 1}}},
            {"all": {"frames": 1}},
            {"kind": "b"},
            "params.yaml: methods.learned.size.depth: missing",
        ),
    ],
)
def test_an_error_names_the_layer_and_its_file(
    published: dict[str, Any], profile: dict[str, Any], change: dict[str, Any], place: str
) -> None:
    with pytest.raises(InputError) as caught:
        merged("learned", profile, PUBLISHED | published, Layer(change, "place"))
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)


def test_a_bad_value_that_is_overridden_does_no_harm() -> None:
    published = PUBLISHED | {"all": PUBLISHED["all"] | {"frames": 0}}
    assert merged("learned", {"all": {"frames": 3}}, published)["frames"] == 3


class SizedConfig(MethodConfig):
    training: Rate  # type: ignore[assignment]
    encoder: Size
    clusters: int = 9


class Sized:
    Config: ClassVar = SizedConfig


@pytest.fixture
def _a_third_method(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"learned": Learned, "plain": Plain, "sized": Sized}
    monkeypatch.setattr(layers, "METHODS", found)
    monkeypatch.setattr(layers, "method_class", found.__getitem__)
    monkeypatch.setattr("chain.methods.method_class", found.__getitem__)


SIZED = PUBLISHED | {"sized": {"encoder": {"width": 8, "depth": 2}}}


def test_fit_keeps_the_value_below_and_is_named(_a_third_method: None) -> None:
    all_of_it = {"encoder": {"width": "fit", "depth": "fit"}, "training": {"lr": "fit"}}
    found = Layers(SIZED, {"all": all_of_it, "sized": {"encoder": {"depth": 3}}}, FILE)
    assert found.config("sized").model_dump() == {
        "frames": 25,
        "training": {"lr": 0.1, "epochs": 1},
        "encoder": {"width": 8, "depth": 3},
        "clusters": 9,
    }
    assert found.fits("sized") == ["encoder.width", "training.lr"]
    assert found.fits("learned") == ["training.lr"] and found.fits("plain") == []
    change = Layer({"encoder": {"width": 4}, "training": {"epochs": "fit"}}, "place")
    assert found.fits("sized", change) == ["training.epochs", "training.lr"]
    assert found.config("sized", change).model_dump()["encoder"]["width"] == 4


def test_fit_in_place_of_what_does_not_follow_the_clips(_a_third_method: None) -> None:
    for profile, place in (
        ({"all": {"frames": "fit"}}, "methods.all.frames"),
        ({"sized": {"encoder": "fit"}}, "methods.sized.encoder"),
        ({"sized": {"anchors": "fit"}}, "methods.sized.anchors"),  # it has none
    ):
        with pytest.raises(InputError, match=rf"^params/mini\.yaml: {place}: 'fit' is only for"):
            Layers(SIZED, profile, FILE).config("sized")
    with pytest.raises(InputError, match=r"^params\.yaml: methods.sized.encoder.width: missing"):
        Layers(SIZED | {"sized": {"encoder": {"width": "fit", "depth": 1}}}).config("sized")

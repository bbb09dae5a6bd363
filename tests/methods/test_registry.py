"""Methods by their names in `params.yaml`."""

import subprocess
import sys

import pytest
from small_methods import PUBLISHED, small

from chain.core.errors import InputError
from chain.core.params import parse
from chain.methods import METHODS, method_class, method_config
from chain.methods.base import Method, MethodConfig
from chain.methods.chain_plus import ChainPlus
from chain.methods.lsh import LSH, LSHConfig
from chain.pipeline.layers import ALL


@pytest.mark.parametrize("name", METHODS)
def test_each_name_has_its_class_and_schema(name: str) -> None:
    found = method_class(name)
    assert issubclass(found, Method) and found.__name__ == METHODS[name]
    assert issubclass(found.Config, MethodConfig)
    config = method_config(name, small(name), {"frames": 7})
    assert type(config) is found.Config and config.frames == 7


def test_classes_by_name() -> None:
    assert method_class("lsh") is LSH and method_class("chain_plus") is ChainPlus
    assert [ALL, *METHODS] == list(PUBLISHED)


def test_unknown_names() -> None:
    for name in ("lhs", "base", "saved_models"):
        with pytest.raises(InputError, match=rf"unknown method '{name}'; known: lsh, pca_itq, "):
            method_class(name)
    with pytest.raises(InputError, match=r"unknown method 'lhs'"):
        method_config("lhs", {})


def test_parameters_of_another_method() -> None:
    with pytest.raises(InputError, match=r"methods.lsh.planes: unknown parameter; known: frames"):
        parse(LSHConfig, {"frames": 4, "planes": 2}, "methods.lsh")
    with pytest.raises(InputError, match=r"params.yaml: methods.width: unknown parameter"):
        method_config("chain", small("chain"), {"width": 4})


def test_a_method_is_imported_when_it_is_asked_for() -> None:
    script = f"""
import sys
from chain.methods import method_class
def imported():
    print([name for name in {list(METHODS)} if "chain.methods." + name in sys.modules])
imported()
method_class("lsh")
imported()
method_class("wsch")
imported()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "['lsh']", "['lsh', 'wsch']"]

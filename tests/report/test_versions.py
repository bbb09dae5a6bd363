import platform
from importlib.metadata import version

from chain.report.versions import installed_versions


def test_versions() -> None:
    assert installed_versions(["numpy", "no-such-package"]) == {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "no-such-package": "not installed",
    }

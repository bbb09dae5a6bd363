"""The code that a stage or a method runs: its file, all that it imports, and a hash of each.

DVC re-runs a stage when one of its dependencies changes. A list of code files that is kept by hand
misses some, so here they are found from the imports. Comments and docstrings do not count, so that
editing words retrains nothing.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chain", "stages")
LIBRARIES = (
    "av",
    "efficientnet-lite-pytorch",
    "numpy",
    "open_clip_torch",
    "scipy",
    "torch",
    "torchvision",
)
"""Libraries whose version may change what is computed for a clip."""
INFRASTRUCTURE = {
    "chain/__init__.py": "holds the version, and imports hashers when a program asks for them",
    "chain/core/errors.py": "holds the wording of errors",
    "chain/core/processes.py": "decides which process computes a job, not what it computes",
    "chain/core/runtime.py": "chooses device and threads, which DVC does not track",
    "chain/core/scratch.py": "keeps what a killed stage had done",
    "chain/methods/__init__.py": "lists the methods, and a recipe holds its own method's code",
    "stages/__init__.py": "sets environment variables of threads",
}
"""Files that change no result, and why: a change in them re-runs nothing."""


def code_of(entry: Path, root: Path) -> dict[str, str]:
    """The hash of each file that `entry` runs, by its path relative to `root`, in sorted order.

    These files count:

    * `entry` itself, and every module of `PACKAGES` that it imports, directly or not. An import
      inside a function counts, one under `if TYPE_CHECKING:` does not.
    * the `__init__.py` of each package on the way;
    * files that are not Python in the folder of such a module, such as CSV tables and templates.

    `INFRASTRUCTURE` is left out. A module that is imported by a computed name is not seen.
    """
    found, waiting = set[Path](), [entry]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path, root)
    data = {file for module in found for file in _data(module.parent)}
    paths = sorted(path.relative_to(root).as_posix() for path in found | data)
    return {name: _hash(root / name) for name in paths if name not in INFRASTRUCTURE}


def made_by(module: Path) -> dict[str, Any]:
    """The hash of each file that a module of this repository runs, and versions of `LIBRARIES`."""
    versions = dict.fromkeys(LIBRARIES, "not installed")
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[library] = version(library)
    return {"code": code_of(module.resolve(), ROOT), "libraries": versions}


def code_text(source: str) -> str:
    """Python source without its comments, docstrings and blank lines.

    The text is the same under every version of Python.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


@cache
def _imported(path: Path, root: Path) -> tuple[Path, ...]:
    """The files of `PACKAGES` that the module at `path` imports itself."""
    names = set[str]()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = path.relative_to(root).with_suffix("").parts
    names.add(".".join(own))
    files = []
    for name in names:
        parts = name.split(".")
        if parts[0] in PACKAGES:
            places = [root.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
            files += [place / "__init__.py" for place in places]
            files.append(places[-1].with_suffix(".py"))
    return tuple(file for file in files if file.is_file())


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, without those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child)


def _data(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            yield from _data(path)
        elif path.is_file() and path.suffix != ".py":
            yield path


@cache
def _hash(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        content = code_text(content.decode("utf-8")).encode()
    return hashlib.sha256(content).hexdigest()[:16]

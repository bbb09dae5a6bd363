"""The command `chain`: a collection of videos is filled, kept up to date and searched."""

import os

# A waiting thread sleeps at once, as in `stages/__init__.py`; torch reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import json
import logging
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from chain.collection import Collection, Segmenting, answers, group_answers
from chain.collection.about import ABOUT
from chain.collection.adding import Report
from chain.collection.copies import duplicates
from chain.collection.files import absolute, videos_at
from chain.collection.matching import ENOUGH
from chain.core.errors import STOPPED, InputError, errors_of_one_line

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

Folder = Annotated[
    Path,
    typer.Option("--collection", "-c", envvar="CHAIN_COLLECTION", help="the collection's folder"),
]
HERE, LOCAL = Path("collection"), "127.0.0.1"
EXPORTED = Path("artifacts/hasher")
ROUGH = (
    f"chance is a rough figure here: fewer than {ENOUGH} videos are unrelated, so that the "
    "hasher's training clips count for more than they do"
)
Workers = Annotated[int, typer.Option(min=1, help="how many files are decoded side by side")]
Engine = Annotated[
    Literal["threads", "ray"], typer.Option(help="what decodes and codes (docs/scale.md)")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
AsCsv = Annotated[bool, typer.Option("--csv", help="print CSV")]


@app.command()
@errors_of_one_line()
def add(
    paths: Annotated[list[Path], typer.Argument(help="files, and folders of videos")],
    collection: Folder = HERE,
    hasher: Annotated[Path | None, typer.Option(help="of a new collection's codes")] = None,
    segment: Annotated[float | None, typer.Option(help="its segments' length in seconds")] = None,
    stride: Annotated[float | None, typer.Option(help="seconds from one to the next")] = None,
    workers: Workers = 2,
    engine: Engine = "threads",
) -> None:
    """Add videos; a collection that is not there is made. Only new or changed files are decoded."""
    files = videos_at(paths)  # raises before a collection is made
    opened = open_or_create(collection, hasher, segment, stride)
    tell(opened.add(map(Path, files), progress=True, workers=workers, engine=engine))


@app.command()
@errors_of_one_line()
def sync(
    folder: Annotated[Path, typer.Argument(help="a folder of videos")],
    collection: Folder = HERE,
    workers: Workers = 2,
    engine: Engine = "threads",
) -> None:
    """Add what is new in a folder, and forget what is gone from it."""
    opened = Collection.open(collection)
    tell(opened.sync(folder, progress=True, workers=workers, engine=engine))


@app.command()
@errors_of_one_line()
def remove(
    paths: Annotated[list[Path], typer.Argument(help="files, and folders")],
    collection: Folder = HERE,
) -> None:
    """Forget files, and all below folders. The files themselves stay."""
    count = Collection.open(collection).remove(paths)
    if not count:
        raise InputError(f"{paths[0]}: the collection has no file there")
    print(f"{count} removed")


@app.command()
@errors_of_one_line()
def status(collection: Folder = HERE, as_json: AsJson = False) -> None:
    """Describe the collection in numbers, and list broken files."""
    opened = Collection.open(collection)
    found, broken = opened.status(), opened.broken()
    if as_json:
        rows = broken.to_dict("records")
        print(json.dumps(asdict(found) | {"broken_files": rows}, indent=2))
        return
    if not found.videos:
        print(opened.hint)
    span = f"{found.hours:.1f} h" if found.hours >= 1 else f"{60 * found.hours:.1f} min"
    print(f"videos    {found.videos}, {found.contents} of different content, {span}")
    print(f"codes     {found.codes} of {found.bits} bits, by hasher {found.hasher}")
    print(f"segments  {found.length:g} s long, one every {found.stride:g} s")
    print(f"disk      {found.bytes / 2**20:.1f} MiB")
    print(f"broken    {found.broken}")
    for path, reason in zip(broken["path"], broken["reason"], strict=True):
        print(f"  {path}: {reason}")


@app.command()
@errors_of_one_line()
def search(
    videos: Annotated[list[str], typer.Argument(help="files, folders, or ids of the collection")],
    collection: Folder = HERE,
    k: Annotated[int, typer.Option(help="how many videos are found")] = 10,
    max_distance: Annotated[float | None, typer.Option(help="in bits")] = None,
    max_duration_ratio: Annotated[float | None, typer.Option(help="longer / shorter")] = None,
    where: Annotated[str | None, typer.Option(help="SQL on path, id, size, duration")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    sheet: Annotated[Path | None, typer.Option(help="a PNG that shows what was found")] = None,
) -> None:
    """Find the videos most like a video or a part of one, and where in them."""
    check_format(as_json, as_csv)
    if sheet and not sheet.absolute().parent.is_dir():
        raise InputError(f"{sheet.parent}: no such folder")
    if sheet and sheet.is_dir():
        raise InputError(f"{sheet}: a folder, and --sheet needs the name of a file")
    opened = Collection.open(collection)
    queries = [one for name in videos for one in expanded(name)]
    if sheet and len(queries) > 1:
        raise InputError(f"--sheet: it shows one query, not {len(queries)}")
    found = [
        (query, opened.search(query, k, max_distance, max_duration_ratio, where))
        for query in queries
    ]
    print((answers.as_json if as_json else answers.as_csv if as_csv else answers.as_text)(found))
    if not (as_json or as_csv) and opened.chances().rough:
        print(f"\n{ROUGH}")
    if sheet:
        from chain.collection.sheet import draw
        from chain.figures.style import save

        save(draw(opened, *found[0]), sheet)


@app.command("duplicates")
@errors_of_one_line()
def list_duplicates(
    collection: Folder = HERE,
    false_alarms: Annotated[float, typer.Option(help="pairs expected by chance")] = 0.1,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="find mirrored copies, too")] = False,
    rotated: Annotated[bool, typer.Option("--rotated", help="find turned copies, too")] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help="print all pairs of a group")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Find groups of copies: files that show the same at the same moments, at least in part."""
    check_format(as_json, as_csv)
    opened = Collection.open(collection)
    found = duplicates(opened, false_alarms, mirrored, rotated, progress=True)
    videos = opened.videos()
    if as_json or as_csv:
        print((group_answers.as_json if as_json else group_answers.as_csv)(found, videos))
    else:
        print(group_answers.as_text(found, videos, pairs) if len(videos) else opened.hint)


@app.command()
@errors_of_one_line()
def judge(
    a: Annotated[str, typer.Argument(help="a file of the collection, or an id")],
    b: Annotated[str, typer.Argument(help="another one")],
    verdict: Annotated[Literal["copy", "not-a-copy"], typer.Argument()],
    collection: Folder = HERE,
) -> None:
    """Say whether two videos are copies; `duplicates` remembers it."""
    opened = Collection.open(collection)
    id_of = opened.videos().set_index("path")["id"]
    one, other = (str(id_of.get(absolute(name), name)) for name in (a, b))
    if one == other:
        raise InputError(f"{a} and {b}: the same video, and a pair needs two")
    opened.judge(one, other, verdict.replace("-", " "))
    print(f"remembered: {verdict}")


@app.command()
@errors_of_one_line()
def serve(
    collection: Folder = HERE,
    host: Annotated[str, typer.Option(help="other than this machine's own needs a token")] = LOCAL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="CHAIN_TOKEN", help="what visitors have to know")
    ] = None,
) -> None:
    """Show a page to search the collection and judge copies, until Ctrl-C."""
    from chain.page import serve

    opened = Collection.open(collection)
    serve.serve(
        opened,
        partial(duplicates, opened),
        host,
        port,
        token,
        lambda address: print(f"open {address}\nstop with Ctrl-C", flush=True),
    )


def check_format(as_json: bool, as_csv: bool) -> None:
    """Raise InputError if both formats are asked for."""
    if as_json and as_csv:
        raise InputError("--json and --csv: choose one of them")


def expanded(query: str) -> list[str]:
    """The videos of a folder, or the query itself."""
    return videos_at([Path(query)]) if os.path.isdir(query) else [query]


def open_or_create(
    folder: Path, hasher: Path | None, length: float | None, stride: float | None
) -> Collection:
    """Open a collection, or make it if there is none.

    Raises InputError if it is there already, with codes of another hasher or other segments.
    """
    new = not (folder / ABOUT).exists()
    usual = Segmenting() if new else Collection.open(folder).segmenting
    wanted = Segmenting(
        usual.length if length is None else length, usual.stride if stride is None else stride
    )
    if new:
        chosen = hasher or EXPORTED
        if not chosen.is_dir():
            raise InputError(
                f"{chosen}: no hasher there; `make clips` and `dvc repro` write one to {EXPORTED}, "
                "and --hasher names another"
            )
        return Collection.create(folder, chosen, wanted)
    opened = Collection.open(folder)
    if hasher and not opened.is_of(hasher):
        raise InputError(
            f"{folder}: its codes are of hasher {opened.hasher_id}, and can't be compared with "
            f"those of {hasher}"
        )
    if wanted != usual:
        raise InputError(
            f"{folder}: its segments are {usual.length:g} s, every {usual.stride:g} s; a "
            "collection with others needs another folder (-c)"
        )
    return opened


def tell(report: Report) -> None:
    """Print what was done; damaged and broken files go to stderr, one line each."""
    for path in report.damaged:
        print(f"damaged: {path}: kept with the frames that decode", file=sys.stderr)
    for path, reason in report.broken:
        print(f"broken: {path}: {reason}", file=sys.stderr)
    counts = ("new", "changed", "moved", "unchanged", "removed")
    parts = [f"{getattr(report, name)} {name}" for name in counts]
    parts += [f"{len(report.damaged)} damaged"] if report.damaged else []
    print(", ".join([*parts, f"{len(report.broken)} broken"]))


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app()
    except SystemExit as end:
        if end.code == STOPPED:  # threads that still decode are not waited for
            sys.stdout.flush()
            os._exit(STOPPED)
        raise


if __name__ == "__main__":
    main()

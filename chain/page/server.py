"""The server behind the page: what it answers."""

import asyncio
import mimetypes
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from chain.core.errors import InputError, one_line
from chain.page import uploads
from chain.page.answers import shown_groups, shown_match, shown_video
from chain.page.listing import Listing, Video
from chain.page.uploads import TooLargeError, TooSlowError

if TYPE_CHECKING:
    from chain.collection.collection import Collection
    from chain.collection.copies import Group

STATIC = Path(__file__).parent / "static"
PAGE = 200  # videos of the list in one answer, at most
MOST = 100  # matches in one answer, at most
FRESH = 2.0  # seconds for which the list of videos is not read again
PATIENCE = 60.0  # seconds for which an upload waits for its turn
MOST_FALSE_ALARMS = 1000
VERDICTS = ("copy", "not a copy")
KEPT = {"cache-control": "private, max-age=86400"}  # an id belongs to a content, which can't change

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """How much one visitor may ask."""

    upload_bytes: int = 2_000_000_000
    upload_seconds: float = 600.0
    search_seconds: float = 600.0


class Asked(NamedTuple):
    """How copies are looked for, as the parameters of `duplicates`."""

    false_alarms: float
    mirrored: bool
    rotated: bool


class NotThereError(InputError):
    """What is asked for is not in the collection."""


class BusyError(InputError):
    """Another visitor is being served."""


STATUS: dict[type[Exception], int] = {
    NotThereError: 404,
    TooSlowError: 408,
    TooLargeError: 413,
    BusyError: 503,
}


class Server:
    """Answers what the page asks about one collection.

    Searches run one at a time, and so do uploads and the finding of copies.
    """

    def __init__(
        self,
        collection: "Collection",
        find_copies: Callable[..., list["Group"]],
        limits: Limits,
    ) -> None:
        """Serve `collection`; `find_copies` is `duplicates` of it."""
        self.collection, self.find_copies, self.limits = collection, find_copies, limits
        self.searches = ThreadPoolExecutor(1, "search")
        self.copies = ThreadPoolExecutor(1, "copies")
        self.uploading = asyncio.Lock()
        self._listing: tuple[float, Listing] | None = None
        self._found: tuple[tuple[Asked, list[Video]], list[Group]] | None = None

    def app(self) -> Starlette:
        """The application, which nothing guards yet."""
        routes = [
            Route("/", self.page),
            Route("/api/collection", self.about),
            Route("/api/videos", self.videos),
            Route("/api/videos/{id}", self.video),
            Route("/api/videos/{id}/nearest", self.nearest),
            Route("/api/nearest", self.nearest_to_upload, methods=["POST"]),
            Route("/api/copies", self.groups),
            Route("/api/judgements", self.judge, methods=["POST"]),
            Route("/strip/{id}", self.strip),
            Route("/video/{id}", self.file),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                InputError: _tell,
                OSError: _tell,
                HTTPException: _tell,
                ClientDisconnect: _gone,
            },
        )
        app.router.redirect_slashes = False
        return app

    def page(self, request: Request) -> Response:
        """Answer with the page."""
        return FileResponse(STATIC / "index.html")

    def about(self, request: Request) -> Response:
        """Describe the collection."""
        videos = self.listing().videos
        return JSONResponse(
            {
                "name": self.collection.folder.resolve().name,
                "add": f"chain add FOLDER -c {shlex.quote(str(self.collection.folder))}",
                "videos": len(videos),
                "seconds": sum(video.duration for video in videos),
                "bits": self.collection.bits,
                "upload_bytes": self.limits.upload_bytes,
            }
        )

    def videos(self, request: Request) -> Response:
        """List the videos whose paths hold all `words`, `limit` of them from `offset` on."""
        offset = _whole(request, "offset", 0, 2**53)
        limit = _whole(request, "limit", 50, PAGE)
        total, found = self.listing().find(request.query_params.get("words", ""), offset, limit)
        return JSONResponse({"total": total, "videos": [shown_video(one) for one in found]})

    def video(self, request: Request) -> Response:
        """Describe one video."""
        return JSONResponse(shown_video(self._files(request)[0]))

    async def nearest(self, request: Request) -> Response:
        """Find the videos nearest to one of the collection, which is left out itself."""
        k = _whole(request, "k", 20, MOST)
        id = (await run_in_threadpool(self._files, request))[0].id
        return await self._search(id, k)

    async def nearest_to_upload(self, request: Request) -> Response:
        """Find the videos nearest to the file in the request's body, whose name is `name`."""
        k = _whole(request, "k", 20, MOST)
        name = request.query_params.get("name", "")
        async with self._turn():
            with uploads.temporary(name) as file:
                await uploads.receive(
                    request, file, self.limits.upload_bytes, self.limits.upload_seconds
                )
                try:
                    return await self._search(file, k)
                except InputError as error:  # the visitor knows the file by another name
                    raise type(error)(str(error).replace(str(file), name or "the file")) from None

    async def groups(self, request: Request) -> Response:
        """Find the groups of copies, with `false_alarms` false pairs to expect among them."""
        turns = (request.query_params.get(name) == "true" for name in ("mirrored", "rotated"))
        asked = Asked(_rate(request), *turns)
        listing = await run_in_threadpool(self.listing)
        found = await _in(self.copies, partial(self._find, asked, listing.videos))
        verdicts = await run_in_threadpool(self.collection.judgements)
        return JSONResponse({"groups": shown_groups(found, listing, verdicts)})

    async def judge(self, request: Request) -> Response:
        """Remember whether the videos `a` and `b` are copies of each other."""
        a, b, verdict = (request.query_params.get(name, "") for name in ("a", "b", "verdict"))
        if verdict not in VERDICTS or a == b:
            raise InputError(f"two videos are either {' or '.join(VERDICTS)}")
        await run_in_threadpool(self._judge, a, b, verdict)
        return JSONResponse({})

    def strip(self, request: Request) -> Response:
        """Answer with eight small frames of a video side by side."""
        id = self._files(request)[0].id
        return Response(self.collection.strip(id), media_type="image/jpeg", headers=KEPT)

    def file(self, request: Request) -> Response:
        """Answer with a video's file, or the range of it that is asked for."""
        for video in self._files(request):
            with suppress(OSError):
                found = os.stat(video.path)
                if S_ISREG(found.st_mode) and found.st_size == video.size:
                    guessed = mimetypes.guess_type(video.path)[0] or ""
                    kind = guessed if guessed.startswith("video/") else "application/octet-stream"
                    return FileResponse(video.path, media_type=kind, stat_result=found)
        raise NotThereError("the file was moved, changed or deleted since it was added")

    def listing(self) -> Listing:
        """The videos of the collection, as they were at most FRESH seconds ago."""
        now = time.monotonic()
        if self._listing is None or now > self._listing[0] + FRESH:
            self._listing = now, Listing.of(self.collection.videos())
        return self._listing[1]

    def _files(self, request: Request) -> list[Video]:
        return self._known(request.path_params["id"])

    def _known(self, id: str) -> list[Video]:
        files = self.listing().files(id)
        if not files:
            raise NotThereError("the collection has no such video")
        return files

    def _find(self, asked: Asked, videos: list[Video]) -> list["Group"]:
        """Find copies, unless they were found last: it takes long in a large collection."""
        if self._found is None or self._found[0] != (asked, videos):
            self._found = (asked, videos), self.find_copies(**asked._asdict())
        return self._found[1]

    def _judge(self, a: str, b: str, verdict: str) -> None:
        self.collection.judge(self._known(a)[0].id, self._known(b)[0].id, verdict)

    async def _search(self, query: Path | str, k: int) -> Response:
        """The `k` matches nearest to a file or to a video of the collection, without itself."""
        search = partial(self.collection.search, query, k=k + 1)
        try:
            async with asyncio.timeout(self.limits.search_seconds):
                found = await _in(self.searches, search)
        except TimeoutError:
            raise TooSlowError("the search takes too long") from None
        others = [shown_match(match) for match in found if match.id != query]
        rough = (await _in(self.searches, self.collection.chances)).rough
        return JSONResponse({"matches": others[:k], "rough": rough})

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until no other upload is being served. Raises BusyError after PATIENCE seconds."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.uploading.acquire()
        except TimeoutError:
            raise BusyError("another video is being searched for; try again later") from None
        try:
            yield
        finally:
            self.uploading.release()


async def _in(worker: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(worker, call)


def _whole(request: Request, name: str, default: int, most: int) -> int:
    """The whole number that the address gives for `name`."""
    given = request.query_params.get(name, str(default))
    if not re.fullmatch("[0-9]{1,16}", given) or int(given) > most:
        raise InputError(f"{name}: expected a whole number up to {most}")
    return int(given)


def _rate(request: Request) -> float:
    given = request.query_params.get("false_alarms", "0.1")
    with suppress(ValueError):
        if 0 < float(given) <= MOST_FALSE_ALARMS:
            return float(given)
    raise InputError(f"false_alarms: expected a number between 0 and {MOST_FALSE_ALARMS}")


async def _tell(request: Request, error: Exception) -> Response:
    """Answer with one line that says what is wrong."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    if isinstance(error, OSError):  # such as a full disk
        return JSONResponse({"error": error.strerror or one_line(error)}, 500)
    return JSONResponse({"error": str(error)}, STATUS.get(type(error), 400))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it

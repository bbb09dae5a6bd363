"""A server in a thread, which serves a pretended collection."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import av
import numpy as np
from numpy.typing import NDArray
from pretend_collection import PretendCollection

from chain.page.serve import build, listening
from chain.page.server import Limits


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    json: Any = None


@dataclass
class Running:
    """A server that runs, and what is needed to ask it as the page would."""

    port: int
    collection: Any = None
    groups: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """How groups were asked for."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        **parameters: object,
    ) -> Answer:
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if method == "POST":
            sent["Origin"] = self.address
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        query = f"?{urlencode(parameters)}" if parameters else ""
        connection.request(method, path + query, body, sent | (headers or {}))
        return answer_of(connection.getresponse())


def answer_of(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = response.read()
    is_json = headers.get("content-type") == "application/json" and body
    return Answer(response.status, headers, body, json.loads(body) if is_json else None)


@contextmanager
def running(
    collection: PretendCollection,
    groups: list[Any] | None = None,
    host: str = "127.0.0.1",
    token: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Running]:
    with listening("127.0.0.1", 0) as listener:
        served = Running(listener.getsockname()[1], collection, groups or [])

        def find_copies(**asked: Any) -> list[Any]:
            served.asked.append(asked)
            return served.groups

        server = build(collection, find_copies, host, served.port, token, limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join()


Serve = Callable[..., Running]


def pair(a: str, b: str, chance: float = 0.01, turn: str = "") -> SimpleNamespace:
    times = {"start_a": 0.5, "end_a": 1.5, "start_b": 0.0, "end_b": 1.0}
    return SimpleNamespace(a=a, b=b, chance=chance, turn=turn, **times)


def group(ids: list[str], *pairs: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(ids=ids, pairs=list(pairs))


def moving_square() -> NDArray[np.uint8]:
    """Twenty frames (20, 64, 96, 3) of a bright square that moves to the right."""
    frames = np.full((20, 64, 96, 3), 40, np.uint8)
    for step, picture in enumerate(frames):
        picture[20:44, 2 * step : 2 * step + 24] = (240, 200, 60)
    return frames


def write_video(path: Path, frames: NDArray[np.uint8], codec: str) -> Path:
    """Encode frames (T, H, W, 3), ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path

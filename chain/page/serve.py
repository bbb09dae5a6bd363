"""How the server is started: where it listens, who knows the token, and what it prints."""

import errno
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from chain.core.errors import InputError, one_line
from chain.page.guard import Guard, is_local, names_of_this_machine
from chain.page.server import Limits, Server
from chain.page.uploads import remove_abandoned

if TYPE_CHECKING:
    from chain.collection.collection import Collection
    from chain.collection.copies import Group

CONNECTIONS = 100  # at the same time; more are told that the server is busy
GRACE = 3  # seconds that running answers have after Ctrl-C


def serve(
    collection: "Collection",
    find_copies: Callable[..., list["Group"]],
    host: str,
    port: int,
    token: str | None,
    tell: Callable[[str], object],
) -> None:
    """Serve the page of a collection until Ctrl-C.

    * With a token, visitors need it. Where other machines reach `host`, one is made if none is
      given.
    * Port 0 is any free one.
    * `tell` is called with the page's address once the server listens.

    Raises InputError if `host` and `port` can't be listened to.
    """
    if not (token or is_local(host)):
        token = secrets.token_urlsafe(16)
    with listening(host, port) as listener:
        port = listener.getsockname()[1]
        server = build(collection, find_copies, host, port, token or None)
        remove_abandoned()
        tell(address(host, port, token))
        server.run(sockets=[listener])


def build(
    collection: "Collection",
    find_copies: Callable[..., list["Group"]],
    host: str,
    port: int,
    token: str | None,
    limits: Limits | None = None,
) -> uvicorn.Server:
    """The server for a socket that listens already."""
    app = Server(collection, find_copies, limits or Limits()).app()
    config = uvicorn.Config(
        Guard(app, port, names_of_this_machine(host), token),
        log_level="warning",
        access_log=False,  # the first address holds the token
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    return uvicorn.Server(config)


def listening(host: str, port: int) -> socket.socket:
    """Listen to a port. Raises InputError if it is in use, or the host is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "the port is in use; choose another with --port" if in_use else one_line(error)
        raise InputError(f"{host}:{port}: can't listen there: {why}") from None


def address(host: str, port: int, token: str | None) -> str:
    """What to open in a browser."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")

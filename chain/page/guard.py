"""Who may ask the server for what: the check of each request before any other code sees it.

* The name in the header Host is this machine's. Otherwise a page of another site, whose name was
  made to point here (DNS rebinding), could read the answers.
* A request that another site's page makes is refused, but for opening the page itself.
* A request that changes something comes from the page: its header Origin names this server.
* With a token, the first visit has it in its address, and later ones in a cookie.

Every answer carries headers that forbid the page to load or run what is not the server's own.
"""

import secrets
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self' blob:",  # the file that was dropped is played from the browser's memory
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # the first address holds the token
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
NO_TOKEN = "This page needs its token. Open the address that `chain serve` has printed.\n"


class Guard:
    """Passes a request on to `app`, or refuses it."""

    def __init__(self, app: ASGIApp, port: int, names: Iterable[str], token: str | None) -> None:
        """Guard `app`; `names` are names of this machine besides `localhost` and its addresses."""
        self.app, self.token = app, token
        self.cookie = f"chain_{port}"  # a browser sends a cookie to all ports of a host
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI wants it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        visit = not refusal and self._is_first_visit(request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if visit:
                    headers.append("set-cookie", self._cookie())
            await send(message)

        await (refusal or self.app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._is_own(host):
            return PlainTextResponse("This server goes by another name.\n", 421)
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD") and origin is None:
            return PlainTextResponse("Only the page itself may change something.\n", 403)
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return PlainTextResponse("Only the page itself may ask this.\n", 403)
        site = request.headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and request.url.path != "/":
            return PlainTextResponse("Only the page itself may ask this.\n", 403)
        if self.token is not None and not self._knows_token(request):
            return PlainTextResponse(NO_TOKEN, 401)
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.names or _is_address(name)

    def _knows_token(self, request: Request) -> bool:
        given = (request.query_params.get("token"), request.cookies.get(self.cookie))
        return any(self._is_token(one) for one in given if one is not None)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), str(self.token).encode())

    def _is_first_visit(self, request: Request) -> bool:
        return self.token is not None and "token" in request.query_params

    def _cookie(self) -> str:
        response = Response()
        response.set_cookie(self.cookie, str(self.token), httponly=True, samesite="strict")
        return response.headers["set-cookie"]


def names_of_this_machine(host: str) -> set[str]:
    """What browsers may call a server that listens to `host`, besides `localhost`."""
    machine = socket.gethostname()
    return {host} if is_local(host) else {host, machine, f"{machine}.local"}


def is_local(host: str) -> bool:
    """Whether only programs of this machine reach a server that listens to `host`."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    """Whether a host is named by its number, which no other site's name server can give away."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

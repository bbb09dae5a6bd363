"""How the server is started, and what keeps it from starting."""

import re
import socket
from pathlib import Path

import pytest
from pretend_collection import PretendCollection, table_of

from chain.core.errors import InputError
from chain.page.serve import address, listening, serve


def test_a_port_in_use_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        expected = f"127.0.0.1:{port}: can't listen there: the port is in use; choose another"
        with pytest.raises(InputError, match=expected):
            listening("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port"),
    [("203.0.113.9", 0), ("no such host", 0), ("", -1), ("127.0.0.1", 99999), ("x" * 300, 0)],
)
def test_what_can_t_be_listened_to_is_told_in_one_line(host: str, port: int) -> None:
    with pytest.raises(
        InputError, match=rf"^{re.escape(host)}:{port}: can't listen there: [^\n]+$"
    ):
        listening(host, port)


def test_the_address_holds_the_token_if_there_is_one() -> None:
    assert address("127.0.0.1", 8000, None) == "http://127.0.0.1:8000/"
    assert address("::1", 8000, "a-b") == "http://[::1]:8000/?token=a-b"
    assert address("0.0.0.0", 80, "t") == f"http://{socket.gethostname()}:80/?token=t"


class StopError(Exception):
    """Ends the server before it answers anything."""


def announced(host: str, token: str | None) -> str:
    """The address that is told for a host."""
    told: list[str] = []

    def tell(address: str) -> None:
        told.append(address)
        raise StopError

    with pytest.raises(StopError):
        serve(PretendCollection(Path(), table_of([], [])), list, host, 0, token, tell)
    return told[0]


def test_a_token_is_made_where_others_reach_the_page() -> None:
    first, second = (announced("0.0.0.0", None).partition("?token=")[2] for _ in range(2))
    assert len(first) >= 20
    assert first != second
    assert announced("0.0.0.0", "").partition("?token=")[2] not in ("", first)
    assert announced("0.0.0.0", "mine").endswith("/?token=mine")
    assert "token" not in announced("127.0.0.1", None)
    assert "token" not in announced("127.0.0.1", "")
    assert announced("127.0.0.1", "mine").endswith("/?token=mine")

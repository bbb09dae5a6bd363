"""Who is let in: names of the machine, other sites' pages, the token."""

from http.client import HTTPConnection
from pathlib import Path

import pytest
from pretend_collection import PretendCollection, id_of, table_of
from running_server import Running, Serve

from chain.page.guard import is_local

TOKEN = "a-token-for-the-tests"


@pytest.fixture
def served(serve: Serve, tmp_path: Path) -> Running:
    return serve(PretendCollection(tmp_path, table_of(["/a.mp4", "/b.mp4"], [1.0, 1.0])))


@pytest.fixture
def secured(serve: Serve, tmp_path: Path) -> Running:
    collection = PretendCollection(tmp_path, table_of(["/a.mp4", "/b.mp4"], [1.0, 1.0]))
    return serve(collection, host="0.0.0.0", token=TOKEN)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST", "[::1]:9", "10.0.0.7"]
)
def test_the_machine_is_known_by_its_names_and_addresses(served: Running, host: str) -> None:
    headers = {"Host": host.format(served.port)}
    assert served.ask("/api/collection", headers=headers).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:{}", "localhost.evil", "", "[", "@localhost.x"]
)
def test_another_name_is_refused(served: Running, host: str) -> None:
    for path in ("/", "/api/collection", f"/video/{id_of(1)}"):
        assert served.ask(path, headers={"Host": host.format(served.port)}).status == 421


JUDGEMENT = {"a": id_of(1), "b": id_of(2), "verdict": "copy"}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "", "http://localhost:{}"]
)
def test_another_site_can_t_change_anything(served: Running, origin: str) -> None:
    headers = {"Origin": origin.format(served.port)}
    for path in ("/api/judgements", "/api/nearest"):
        assert served.ask(path, "POST", b"x", headers, **JUDGEMENT).status == 403
    assert served.collection.verdicts == {}
    assert served.collection.queries == []


def test_what_names_no_origin_can_t_change_anything(served: Running) -> None:
    connection = HTTPConnection("127.0.0.1", served.port)
    connection.request("POST", "/api/nearest", b"x")
    assert connection.getresponse().status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_open_the_page_but_ask_nothing(served: Running, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert served.ask("/", headers=headers).status == 200
    for path in ("/api/videos", f"/strip/{id_of(1)}", f"/video/{id_of(1)}", "/static/page.css"):
        assert served.ask(path, headers=headers).status == 403


def test_every_answer_forbids_what_is_not_the_server_s(served: Running) -> None:
    for path in ("/", "/static/main.js", "/nothing", f"/strip/{id_of(1)}"):
        headers = served.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
    assert served.ask("/", headers={"Host": "evil.example"}).headers["x-frame-options"] == "DENY"


def test_without_the_token_nothing_is_answered(secured: Running) -> None:
    cookie = {"Cookie": f"chain_{secured.port}=wrong"}
    for path in ("/", "/static/main.js", "/api/videos", f"/strip/{id_of(1)}"):
        for answer in (
            secured.ask(path),
            secured.ask(path, token="wrong"),
            secured.ask(path, token=""),
            secured.ask(path, token="ü"),
            secured.ask(path, headers=cookie),
        ):
            assert answer.status == 401
            assert "set-cookie" not in answer.headers
    answer = secured.ask("/api/judgements", "POST", **JUDGEMENT)
    assert (answer.status, secured.collection.verdicts) == (401, {})


def test_the_first_visit_leaves_a_cookie_for_later_ones(secured: Running) -> None:
    first = secured.ask("/", token=TOKEN)
    assert first.status == 200
    cookie, *attributes = first.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes)
    assert secured.ask("/api/videos", headers={"Cookie": cookie}).status == 200
    assert "set-cookie" not in secured.ask("/", headers={"Cookie": cookie}).headers
    answer = secured.ask("/api/judgements", "POST", headers={"Cookie": cookie}, **JUDGEMENT)
    assert answer.status == 200


def test_only_loopback_is_local() -> None:
    assert all(map(is_local, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    assert not any(map(is_local, ("0.0.0.0", "::", "192.168.1.4", "box.local", "")))

"""Finding and reading an issuer's keys over HTTP: by its own metadata only, bounded, and redirected nowhere."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from positions_mcp.door.keys import Issuer, KeysUnavailable, is_safe, metadata_urls

TRICKLES = "/trickles"
KEYS = {"keys": [{"kty": "RSA", "kid": "a"}]}


class Site:
    """What a host answers, by path: a status and a body, or where it redirects to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.over = threading.Event()

    def has(self, path: str, said: object, status: int = 200) -> None:
        self.pages[path] = status, said if isinstance(said, str) else json.dumps(said)


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            if self.path == TRICKLES:
                self.trickle()
                return
            status, body = found.pages.get(self.path, (404, "{}"))
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", body)
                body = ""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def trickle(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not found.over.wait(0.02):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    found.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def read(issuer: Issuer) -> object:
    try:
        return await issuer.read_keys()
    finally:
        await issuer.aclose()


async def test_the_log_says_why_an_issuer_cannot_be_reached() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(KeysUnavailable, match=r"/keys: .+ \w+ .+"):
            await read(Issuer(found := f"http://127.0.0.1:{closed.getsockname()[1]}", f"{found}/keys"))


@pytest.mark.requirement("O-03")
@pytest.mark.parametrize("path", ["", "/tenant", "/tenant/"])
async def test_keys_are_where_the_metadata_says_whichever_kind_the_issuer_has(path: str, site: Site) -> None:
    issuer = site.url + path
    site.has("/keys", KEYS)
    for place in metadata_urls(issuer):
        site.pages.pop("/.well-known/oauth-authorization-server", None)
        site.has(place.removeprefix(site.url), {"issuer": issuer, "jwks_uri": f"{site.url}/keys"})
        assert await read(Issuer(issuer)) == KEYS
        del site.pages[place.removeprefix(site.url)]


def test_metadata_is_looked_for_in_the_order_of_the_rules() -> None:
    assert list(metadata_urls("https://a.example")) == [
        "https://a.example/.well-known/oauth-authorization-server",
        "https://a.example/.well-known/openid-configuration",
    ]
    assert list(metadata_urls("https://a.example/t/")) == [
        "https://a.example/.well-known/oauth-authorization-server/t",
        "https://a.example/.well-known/openid-configuration/t",
        "https://a.example/t/.well-known/openid-configuration",
    ]


METADATA = "/.well-known/oauth-authorization-server"


@pytest.mark.requirement("O-01", "O-03")
async def test_metadata_that_is_not_the_issuers_own_leads_nowhere(site: Site) -> None:
    site.has("/keys", KEYS)
    keys = f"{site.url}/keys"
    for said, why in (
        ({"issuer": "https://login.example.com", "jwks_uri": keys}, "of another issuer"),
        ({"issuer": f"{site.url}/", "jwks_uri": keys}, "of another issuer"),
        ({"jwks_uri": keys}, "of another issuer"),
        ({"issuer": site.url}, "has no https jwks_uri"),
        ({"issuer": site.url, "jwks_uri": "http://login.example.com/keys"}, "has no https jwks_uri"),
        ({"issuer": site.url, "jwks_uri": "file:///etc/passwd"}, "has no https jwks_uri"),
        ({"issuer": site.url, "jwks_uri": ["x"]}, "has no https jwks_uri"),
        ("[]", "does not answer an object"),
        ("<html>", "does not answer JSON"),
        ("[" * 100_000, "does not answer JSON"),
        ("x" * 300_000, "answers too much"),
    ):
        for place in metadata_urls(site.url):
            site.has(place.removeprefix(site.url), said)
        with pytest.raises(KeysUnavailable, match=why):
            await read(Issuer(site.url))
    assert "/keys" not in site.asked


async def test_a_redirect_is_not_followed_and_an_error_is_no_set_of_keys(site: Site) -> None:
    site.has("/elsewhere", KEYS)
    for status, body in ((302, f"{site.url}/elsewhere"), (500, json.dumps(KEYS)), (204, "")):
        site.has("/keys", body, status)
        with pytest.raises(KeysUnavailable, match=f"answers {status}"):
            await read(Issuer(site.url, f"{site.url}/keys"))
    assert "/elsewhere" not in site.asked


@pytest.mark.requirement("O-03")
@pytest.mark.parametrize("what", ["metadata", "keys"])
async def test_an_answer_that_trickles_for_ever_is_none(what: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("positions_mcp.door.keys.LONGEST_S", 0.2)
    monkeypatch.setattr("positions_mcp.door.keys.metadata_urls", lambda issuer: [f"{issuer}{TRICKLES}"])
    issuer = Issuer(site.url, None if what == "metadata" else f"{site.url}{TRICKLES}")
    with anyio.fail_after(30), pytest.raises(KeysUnavailable, match=r"does not answer within 0\.2 s"):
        await read(issuer)


async def test_keys_that_have_moved_are_found_again(site: Site) -> None:
    site.has("/keys", KEYS)
    site.has(METADATA, {"issuer": site.url, "jwks_uri": f"{site.url}/keys"})
    issuer = Issuer(site.url)
    assert await issuer.read_keys() == KEYS
    site.has("/newer", KEYS)
    site.has("/keys", "", 410)
    site.has(METADATA, {"issuer": site.url, "jwks_uri": f"{site.url}/newer"})
    with pytest.raises(KeysUnavailable):
        await issuer.read_keys()
    assert await read(issuer) == KEYS


def test_keys_come_over_https_or_from_where_the_issuer_is_itself() -> None:
    assert is_safe("https://keys.example.net/x", beside="https://login.example.com")
    assert is_safe("http://127.0.0.1:1/x", beside="http://127.0.0.1:2")
    for url in ("http://login.example.com/x", "ftp://x", "https:///x", "x", "http://[::1/x", "http://127.0.0.2/x"):
        assert not is_safe(url, beside="http://127.0.0.1:2"), url
    assert not is_safe("http://login.example.com/x", beside="https://login.example.com")

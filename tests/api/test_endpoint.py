"""Where the key goes: only to the API, over TLS, past proxies and credential files of the machine."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx
import pytest

from api.loopback import (
    AAPL,
    ACCOUNT,
    KEY,
    Loopback,
    answer,
    data,
    drop,
    envelope,
    order,
    position,
    raw,
    serving,
    silence,
)
from positions_mcp.api import PositionsClient
from positions_mcp.api._direct import Direct
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._exchange import Request
from positions_mcp.cli.assembly.composition import open_venue
from positions_mcp.domain.errors import ConfigurationError, NothingSent, ReadFailed, Sent, UpstreamError
from positions_mcp.domain.ids import AccountId
from positions_mcp.settings import load

FAR = "https://api.example.invalid"


@pytest.mark.parametrize(
    "url",
    [
        "", "api.clearstreet.com", "ftp://api.clearstreet.com", "http://api.clearstreet.com", "http://127.0.0.1.example.com",
        "https://", "https://user:word@api.clearstreet.com", "https://api.clearstreet.com?x=1", "https://api.clearstreet.com#x",
        "https://api.clearstreet.com/a/../b", "https://api.clearstreet.com/%2e", "https://api.clearstreet.com:port",
        "https://[::1", "https://api.clearstreet.com\r\nHost: x", "http://localhost.example.com", "http://10.0.0.1",
    ],
)  # fmt: skip
def test_a_base_url_that_is_not_safe_for_the_key_is_refused(url: str):
    with pytest.raises(ConfigurationError) as caught:
        PositionsClient(url, KEY)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.clearstreet.com",
        "https://api.clearstreet.com/",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:1",
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_accepted(url: str):
    assert repr(PositionsClient(url, KEY)) == f"PositionsClient(base_url={url.rstrip('/')!r}, contract='auto')"


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize("key", ["", " ", "two words", "a\r\nX-Evil: 1", "clé", "\x00", "tab\t"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_repeating_it(key: str):
    with pytest.raises(ConfigurationError) as caught:
        PositionsClient("https://api.clearstreet.com", key)
    assert not key.strip() or key not in str(caught.value)


def test_an_unknown_contract_is_refused():
    with pytest.raises(ConfigurationError, match="auto, seed or current"):
        PositionsClient("https://api.clearstreet.com", KEY, contract="newest")


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody trusts, for this machine and for what is far away."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(urlsplit(FAR).hostname or "")]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.mark.requirement("A-04", "A-05")
async def test_a_certificate_nobody_trusts_gets_nothing(tmp_path: Path):
    async with serving(data([]), tls=certificate(tmp_path)) as server, server.client() as client:
        with pytest.raises(NothingSent, match="certificate"):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    assert server.requests == []


@pytest.mark.requirement("A-04")
async def test_a_trusted_certificate_is_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with serving(data([]), tls=context) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        await client.close_positions(ACCOUNT, cancel_orders=False)
        await client.close_positions(ACCOUNT, cancel_orders=False)
    assert [request.connection for request in server.requests] == [1, 2, 3]


@pytest.mark.requirement("A-03")
async def test_what_came_unasked_with_an_answer_is_read_by_nobody_where_tls_has_taken_it_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def and_more(writer: asyncio.StreamWriter) -> None:
        await data([])(writer)
        await data([position(symbol="UNASKED")])(writer)

    context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with serving(and_more, data([position(symbol="ASKED")]), tls=context) as server, server.client() as client:
        for expected in ([], ["ASKED"], ["ASKED"]):
            assert [row.symbol for row in (await client.get_positions(ACCOUNT)).data] == expected
    assert [request.connection for request in server.requests] == [1, 2, 2]


@asynccontextmanager
async def tunnelling_to(server: Loopback) -> AsyncIterator[str]:
    """A proxy that leads there, whatever it is asked for."""

    async def carry(near: anyio.abc.ByteReceiveStream, far: anyio.abc.ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await far.send(await near.receive())
        await far.aclose()

    async def handle(near: anyio.abc.SocketStream) -> None:
        await near.receive()
        async with near, await anyio.connect_tcp("127.0.0.1", urlsplit(server.url).port or 0) as far:
            await near.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            async with anyio.create_task_group() as ways:
                ways.start_soon(carry, near, far)
                await carry(far, near)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


UNASKED = json.dumps(envelope([position(symbol="UNASKED")])).encode()


@pytest.mark.requirement("A-03", "A-04")
@pytest.mark.parametrize(
    "more",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(UNASKED), UNASKED),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"\r\n",
        b"???",
    ],
    ids=["an answer", "a part of one", "an end", "what precedes one", "an empty line", "no answer"],
)
async def test_what_came_unasked_through_a_proxy_is_read_by_nobody(
    more: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    empty = json.dumps(envelope([])).encode()
    and_more = raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (len(empty), empty, more))
    context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    answers = and_more, data([position(symbol="ASKED")]), data([order()])
    async with serving(*answers, tls=context) as server, tunnelling_to(server) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with PositionsClient(FAR, KEY) as client:
            for expected in ([], ["ASKED"]):
                assert [row.symbol for row in (await client.get_positions(ACCOUNT)).data] == expected
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    assert [request.connection for request in server.requests] == [1, 2, 3]


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("reply", [raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), drop])
async def test_a_handshake_that_fails_is_nothing_sent(reply):
    async with (
        serving(reply) as server,
        PositionsClient(server.url.replace("http:", "https:"), KEY, connect_timeout_s=0.3) as client,
    ):
        with pytest.raises(NothingSent):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    assert server.requests == []


@pytest.mark.requirement("A-04", "A-05")
@pytest.mark.parametrize(
    "reply",
    [
        answer(407, b""),
        answer(502, b""),
        drop,
        silence,
        raw(b"HTTP/1.1 200 OK\r\n\r\nnot a handshake"),
        raw(b"???\r\n\r\n"),
    ],
)
async def test_a_proxy_that_does_not_let_us_through_gets_nothing(reply, monkeypatch: pytest.MonkeyPatch):
    async with serving(reply) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with PositionsClient(FAR, KEY, write_timeout_s=0.3, read_budget_s=0.3) as client:
            with pytest.raises(NothingSent) as caught:
                await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
            assert caught.value.sent is Sent.NO
            with pytest.raises(ReadFailed) as failed:
                await client.get_positions(ACCOUNT)
            assert failed.value.sent is Sent.NO
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert all("authorization" not in request.headers for request in proxy.requests)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9", "http://[::1"])
async def test_a_proxy_that_cannot_be_used_is_a_matter_of_configuration(proxy: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with PositionsClient(FAR, KEY) as client:
        with pytest.raises(ConfigurationError, match="proxy"):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)


@pytest.mark.requirement("A-05")
async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch):
    async with serving(answer(407, b"")) as proxy, serving(data([])) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with server.client() as client:
            await client.get_positions(ACCOUNT)
            await client.close_positions(ACCOUNT, cancel_orders=False)
    assert (len(server.requests), proxy.connections) == (2, 0)


@pytest.mark.requirement("A-05")
async def test_a_netrc_file_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        await client.close_positions(ACCOUNT, cancel_orders=False)
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


def test_importing_and_making_a_client_does_not_import_the_http_library():
    program = (
        "import sys; from positions_mcp.api import PositionsClient; PositionsClient('https://a.example', 'k.s');"
        "print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"


@pytest.mark.requirement("A-03", "G-15")
@pytest.mark.parametrize(
    ("url", "name", "who"),
    [
        ("https://api.clearstreet.com", "", "Clear Street"),
        ("https://API.Sandbox.ClearStreet.com/v1", "", "Clear Street"),
        ("https://notclearstreet.com", "", "The API at https://notclearstreet.com"),
        ("https://gateway.example.com:8443", "", "The API at https://gateway.example.com:8443"),
        ("http://127.0.0.1:8080", "", "The API at http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "the paper exchange", "The paper exchange"),
    ],
)
async def test_an_error_names_who_answered_or_did_not(url: str, name: str, who: str):
    said: list[httpx.Response | Exception] = []

    def upstream(request: httpx.Request) -> httpx.Response:
        found = said.pop()
        if isinstance(found, Exception):
            raise found
        return found

    refusal = {"error": {"code": 403, "message": "no"}, "metadata": {"request_id": "r"}}
    said_once: dict[str, Any] = {
        "transport": httpx.MockTransport(upstream),
        "random": lambda: 1e9,
    }  # the next attempt never comes
    async with PositionsClient(url, KEY, name=name, **said_once) as client:
        for answered, words in (
            (httpx.ConnectError("refused"), f"{who} could not be read: "),
            (httpx.Response(500), f"{who} answered 500"),
            (httpx.Response(200, text="<html>"), f"{who} answered 200, but "),
            (httpx.Response(403, json=refusal), f"{who} refused the request with 403"),
        ):
            said.append(answered)
            with pytest.raises(UpstreamError, match=f"^{re.escape(words)}"):
                await client.get_positions(ACCOUNT)
        for status, words in ((502, f": {who} answered 502"), (403, f"{who} refused the request with 403")):
            said.append(httpx.Response(status, json=refusal))
            with pytest.raises(UpstreamError, match=re.escape(words)):
                await client.close_position(ACCOUNT, AAPL, cancel_orders=False)


@pytest.mark.requirement("G-15")
async def test_in_paper_mode_no_error_speaks_of_clear_street(tmp_path: Path):
    paper = {"data_dir": tmp_path, "paper": {"url": "http://127.0.0.1:1"}}
    with open_venue(load(paper)) as venue:
        async with venue.connect() as client:
            with pytest.raises(ReadFailed, match=r"^The paper exchange at http://127\.0\.0\.1:1 could not be read: "):
                await client.get_positions(AccountId(19816), timeout_s=0)


async def test_a_name_that_is_not_ascii_is_asked_for_as_the_network_knows_it():
    endpoint = Endpoint.checked("https://bücher.example/api", KEY)
    head = Direct(endpoint, None, 1)._written(Request("GET", "/v1/accounts"))
    assert head.startswith(b"GET /api/v1/accounts HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n")

"""The desk for approvers on other machines: over https only, by its own name, for the same roster."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from data_dirs import CLEAN, PROGRAM
from door.test_entrance import certificate
from guard.desk import PASSPHRASE, desk
from positions_mcp.cli.serving.desk_host import DeskElsewhere
from positions_mcp.cli.serving.entrance import Entrance
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.servers import Server, pages_of
from positions_mcp.door.proxies import Proxies
from positions_mcp.settings import load

PUBLIC = "https://desk.example.com"
FORWARDED = {"X-Forwarded-Host": "desk.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.9.8.7"}


async def test_behind_a_proxy_an_approver_signs_in_at_its_public_name_with_a_cookie_for_https_only(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as guarded:
        await guarded.supervisor.set_up_approver(PASSPHRASE)
        behind = _entrance(tmp_path, PUBLIC, behind_proxy=["127.0.0.1"])
        page: Any = desk_app(Desk(guarded.parts), origins=[PUBLIC])
        transport = httpx.ASGITransport(Proxies(page, behind.proxies))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8421", headers=FORWARDED) as http:
            said = {"json": {"passphrase": PASSPHRASE, "name": ""}, "headers": {"Origin": PUBLIC}}
            answer = await http.post("/api/session", **said)
            assert answer.status_code == 200, answer.text
            assert "secure" in answer.headers["set-cookie"].lower()
            for wrong in ({"X-Forwarded-Host": "elsewhere.example.com"}, {"X-Forwarded-Proto": "http"}):
                assert (await http.get("/", headers=wrong)).status_code == 403
            said["headers"] = {"Origin": "http://10.0.0.7:8421"}
            assert (await http.post("/api/session", **said)).status_code == 403


def _entrance(tmp_path: Path, url: str | None, **said: Any) -> Entrance:
    settings = load({"data_dir": tmp_path, "desk": {"public_url": url}}, environment={})
    return Entrance.of(said.pop("host", None), **said).for_approvers(settings)


REFUSED: dict[str, tuple[str | None, Callable[[Path], dict[str, Any]], str]] = {
    "elsewhere in clear": (PUBLIC, lambda _: {"host": "0.0.0.0"}, "listens on this machine only"),
    "behind a proxy without a name": (None, lambda _: {"behind_proxy": ["10.0.0.5"]}, "desk.public_url is not set"),
    "TLS without a name": (None, lambda folder: {**_tls(folder)}, "desk.public_url is not set"),
    "in clear to everybody": ("http://localhost:1", lambda _: {"behind_proxy": ["10.0.0.5"]}, "or is none"),
    "half of TLS": (PUBLIC, lambda folder: {"tls_cert": _tls(folder)["tls_cert"]}, "TLS takes two files"),
    "every proxy": (PUBLIC, lambda _: {"behind_proxy": ["0.0.0.0/0"]}, "names no proxy"),
}


def _tls(folder: Path) -> dict[str, Any]:
    return dict(zip(("tls_cert", "tls_key"), certificate(folder), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_a_desk_that_others_could_reach_in_clear_or_by_no_name_does_not_start(name: str, tmp_path: Path) -> None:
    url, options, says = REFUSED[name]
    with pytest.raises(ConfigurationError, match=says):
        _entrance(tmp_path, url, **options(tmp_path))


async def test_a_server_sends_approvers_to_the_desk_that_is_set_up_and_to_https_ones_of_other_machines() -> None:
    assert await DeskElsewhere(PUBLIC).open() == PUBLIC
    said = {"mode": "paper", "accounts": [1], "sends": False, "until": "2026-11-30T12:00:00Z"}
    other = "other:1:boot"
    servers = [
        Server.model_validate({**said, "process": other, "desk_url": url}) for url in ("http://localhost:8421", PUBLIC)
    ]
    assert list(pages_of(servers, "this:1:boot")) == [PUBLIC]
    assert list(pages_of(servers, "other:2:boot")) == ["http://localhost:8421", PUBLIC]


async def test_the_command_serves_it_with_its_own_tls_and_ends_with_0_when_it_is_told_to(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--tls-cert", str(files[0]), "--tls-key", str(files[1]), "--port", str(port), "--log-format", "json"]
    command = [*PROGRAM, "desk", *options, "--data-dir", str(tmp_path / "data")]
    environment = {**CLEAN, "POSITIONS_MCP_DESK__PUBLIC_URL": "https://localhost"}
    with anyio.fail_after(90):
        async with await anyio.open_process(command, env=environment, stdout=None, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            assert b"PAPER desk at https://localhost" in await process.stderr.receive()
            async with httpx.AsyncClient(verify=False) as http:
                door = await http.get(f"https://127.0.0.1:{port}/api/door", headers={"Host": "localhost"})
            assert door.json()["command"] == "positions-mcp approver init", "no folder of that machine is told"
            process.terminate()
            assert await process.wait() == 0

"""`positions-mcp serve --transport http` as a process of its own: both eras at once, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest
from mcp.shared.exceptions import MCPError

from data_dirs import CLEAN, PROGRAM, in_session
from over_http.serving import calling
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.operation.states import RowState
from positions_mcp.store import DEFAULT_FILE, open_store
from tools.serving import ERAS, text_of
from trading import HOLDINGS, yes

COMMAND = [*PROGRAM, "serve", "--transport", "http", "--port", "0", "--data-dir"]


@contextmanager
def serving(data_dir: Path, descriptors: int | None = None, **said: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, begun with so many descriptors, and the address that it says it has."""
    few = ["sh", "-c", f'ulimit -Sn {descriptors} && exec "$0" "$@"'] if descriptors else []
    command, variables = [*few, *COMMAND, str(data_dir)], {**CLEAN, **said}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            address = re.search(r"^PAPER MCP server at (http://127\.0\.0\.1:\d+/mcp), on this machine only\.$", said)
            assert address, said
            yield process, address[1]
        finally:
            process.kill()


@pytest.mark.requirement("G-07")
async def test_it_serves_both_eras_and_told_to_stop_finishes_the_request_in_flight_and_sends_no_other(
    tmp_path: Path,
) -> None:
    tokens = TokenFile(tmp_path)
    alice, bob = (tokens.issue(name, SystemClock().now()) for name in ("alice", "bob"))
    answers: list[str] = []
    with anyio.fail_after(30), in_session(tmp_path) as exchange, serving(tmp_path) as (process, url):
        exchange.arm("delay", "close_position", seconds=0.5)
        async with calling(url, alice, ERAS[0], yes()) as older, calling(url, bob, ERAS[1]) as newer:
            assert "PAPER" in text_of(await newer.call_tool("get_trading_status", {}))
            await older.list_tools()  # or the client would ask for the schema of its answer when the server is gone

            async def close_three() -> None:
                answers.append(text_of(await older.call_tool("close_positions", {"instruments": list(HOLDINGS)})))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close_three)
                while not exchange.effects():  # noqa: ASYNC110 — another process cannot be waited for otherwise
                    await anyio.sleep(0.02)
                process.terminate()
        assert await anyio.to_thread.run_sync(process.wait) == 0
        assert exchange.effect_counts() == {"close_position": 1}
        assert process.stderr is not None
        assert process.stderr.read() == ""
    store = open_store(tmp_path / DEFAULT_FILE)
    [operation] = store.operations()
    store.close()
    assert [row.state for row in operation.rows] == [RowState.SUBMITTED, RowState.NOT_SENT, RowState.NOT_SENT]
    assert "1 submitted, 2 not sent" in answers[0], "the caller still hears what became of it"


@pytest.mark.requirement("G-20")
async def test_told_to_stop_with_a_form_open_it_notes_that_nobody_answered_and_waits_for_no_client(
    tmp_path: Path,
) -> None:
    alice = TokenFile(tmp_path).issue("alice", SystemClock().now())
    with anyio.fail_after(60), in_session(tmp_path) as exchange, serving(tmp_path) as (process, url):

        async def tell_it_to_stop(*_: object) -> NoReturn:
            process.terminate()
            await anyio.sleep_forever()

        async with calling(url, alice, ERAS[0], tell_it_to_stop) as client:
            await client.list_tools()
            with pytest.raises(MCPError):
                await client.call_tool("close_positions", {"instruments": ["KO"]})
        assert await anyio.to_thread.run_sync(process.wait) == 0
        assert exchange.effects() == []
        assert process.stderr is not None
        assert process.stderr.read() == "", "the SDK says so where it waits for a client that reads no more"
    with closing(open_store(tmp_path / DEFAULT_FILE)) as store:
        assert "form not answered" in [entry.event for entry in store.journal()]


@pytest.mark.requirement("G-04", "G-07")
async def test_with_a_grace_a_close_of_several_goes_to_its_end_before_the_process_does(tmp_path: Path) -> None:
    alice = TokenFile(tmp_path).issue("alice", SystemClock().now())
    answers: list[str] = []
    variables = {"POSITIONS_MCP_HTTP__GRACE_S": "0.2", "POSITIONS_MCP_LOG__FORMAT": "json"}
    with anyio.fail_after(60), in_session(tmp_path) as exchange, serving(tmp_path, **variables) as (process, url):
        exchange.arm("delay", "close_position", seconds=0.5)
        async with calling(url, alice, ERAS[1], yes()) as client:
            await client.list_tools()

            async def close_three() -> None:
                answers.append(text_of(await client.call_tool("close_positions", {"instruments": list(HOLDINGS)})))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close_three)
                while not exchange.effects():  # noqa: ASYNC110 — another process cannot be waited for otherwise
                    await anyio.sleep(0.02)
                process.terminate()
        assert await anyio.to_thread.run_sync(process.wait) == 0
        assert exchange.effect_counts() == {"close_position": 3}
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert "3 submitted" in answers[0]
    said = [line["event"] for line in lines if line["event"].startswith("draining")]
    assert said == [
        "draining: not ready from now on, answering for [amount] s",
        "draining: nothing new; 1 calls under way",
        "draining: over with 0 calls under way",
    ]
    [called] = [line for line in lines if line.get("tool") == "close_positions"][-1:]
    assert called["status"] == 200
    assert "alice" not in json.dumps(lines)


@pytest.mark.requirement("G-23")
async def test_connections_that_send_nothing_do_not_use_up_its_descriptors(tmp_path: Path) -> None:
    token = TokenFile(tmp_path).issue("alice", SystemClock().now())
    with anyio.fail_after(40), serving(tmp_path, descriptors=100) as (process, url):
        async with AsyncExitStack() as flood:
            for number in range(250):
                source = f"127.0.0.{2 + number % 50}"
                port = urlsplit(url).port or 0
                await flood.enter_async_context(await anyio.connect_tcp("127.0.0.1", port, local_host=source))
            async with calling(url, token, ERAS[0]) as alice:
                assert "PAPER" in text_of(await alice.call_tool("get_trading_status", {}))
        process.terminate()
        assert await anyio.to_thread.run_sync(process.wait) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--transport", "http", "--host", "0.0.0.0"], "listens on this machine only, and 0.0.0.0 is not on it"),
        (["--transport", "http", "--host", "::"], "is not on it"),
        (["--transport", "http", "--host", "example.com"], "is not on it"),
        (["--port", "1"], "Add --transport http"),
        (["--host", "127.0.0.1"], "Add --transport http"),
        (["--tls-cert", "a.pem"], "--tls-cert is for HTTP"),
        (["--behind-proxy", "10.0.0.5"], "--behind-proxy is for HTTP"),
    ],
)
def test_it_refuses_to_listen_anywhere_but_on_this_machine(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from positions_mcp.cli import main

    assert main(["serve", "--data-dir", str(tmp_path), *options]) == 2
    assert says in capsys.readouterr().err


def test_a_port_that_cannot_be_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from positions_mcp.cli import main

    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--transport", "http", "--port", "70000", "--data-dir", str(tmp_path)])
    assert "'70000' is no port; it is from 0 to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from positions_mcp.cli import main
    from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, listening_socket

    with listening_socket(ON_THIS_MACHINE.address, 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--transport", "http", "--port", port, "--data-dir", str(tmp_path)]) == 2
    assert (
        f"Port {port} on 127.0.0.1 cannot be used: Address already in use. Give another --port."
        in capsys.readouterr().err
    )

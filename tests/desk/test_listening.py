"""The page's port is this process's own from the moment that its address is said."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest

from positions_mcp.cli import main
from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, listening_socket
from positions_mcp.cli.serving.listening import desk_sockets
from positions_mcp.domain.errors import ConfigurationError


def test_a_port_that_one_page_has_is_taken_by_no_other_and_takes_connections_at_once() -> None:
    with desk_sockets(0) as (_, port), desk_sockets(port) as (_, other):
        assert other != port
        for address in ("127.0.0.1", port), ("127.0.0.1", other):
            socket.create_connection(address, timeout=5).close()


@pytest.mark.parametrize("command", ["desk", "serve --transport=http", "paper serve"])
@pytest.mark.parametrize("port", ["-5", "65536", "70000", "8e3", ""])
def test_a_port_that_cannot_be_is_named(command: str, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), f"--port={port}"])
    assert f"{port!r} is no port" in capsys.readouterr().err


def test_the_last_port_is_the_end_and_why_none_can_be_used_is_said() -> None:
    with ExitStack() as taken:
        for port in range(65_530, 65_536):
            with suppress(ConfigurationError):  # somebody has it already
                taken.enter_context(listening_socket(ON_THIS_MACHINE.address, port)).listen()
        for first, tried in (65_530, "Ports 65530 to 65535"), (65_535, "Port 65535"):
            why = f"{tried} cannot be used: Address already in use"
            with pytest.raises(ConfigurationError, match=why), desk_sockets(first):
                pass

"""The page's port is this process's own from the moment that its address is said."""

from __future__ import annotations

import socket

from positions_mcp.cli.serving.desk_server import desk_sockets


def test_a_port_that_one_page_has_is_taken_by_no_other_and_takes_connections_at_once() -> None:
    with desk_sockets(0) as (_, port), desk_sockets(port) as (_, other):
        assert other != port
        for address in ("127.0.0.1", port), ("127.0.0.1", other):
            socket.create_connection(address, timeout=5).close()

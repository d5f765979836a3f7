"""`positions-mcp demo`: an MCP client works with a real server on the paper exchange, and a person watches."""

from __future__ import annotations

import argparse

HELP = "watch an MCP client work with the server on the paper exchange"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp demo`."""
    parser.add_argument("--plain", action="store_true", help="no colours, whatever the terminal can do")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo to its end. Returns the exit code: 0 when every step went as it should."""
    import anyio

    from positions_mcp.cli.demo.screen import Screen
    from positions_mcp.cli.demo.story import tell

    return anyio.run(tell, Screen(plain=arguments.plain))

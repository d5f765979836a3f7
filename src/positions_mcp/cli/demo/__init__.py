"""`positions-mcp demo`: an MCP client works with a real server on the paper exchange, and a person watches."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp demo`."""
    parser.add_argument("--plain", action="store_true", help="no colours, whatever the terminal can do")
    parser.add_argument("--transcript", metavar="FILE", type=Path, help="also write every step there, as JSON lines")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo to its end. Returns the exit code: 0 when every step went as it should."""
    import anyio

    from positions_mcp.cli.demo.screen import Screen
    from positions_mcp.cli.demo.story import tell
    from positions_mcp.cli.demo.transcript import Transcript

    return anyio.run(tell, Screen(plain=arguments.plain), Transcript(arguments.transcript))

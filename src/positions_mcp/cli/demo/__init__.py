"""`positions-mcp demo`: an MCP client works with a real server on the paper exchange, and a person watches."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="no colours, whatever the terminal can do")
    parser.add_argument("--desk", action="store_true", help="an agent asks, and you decide on the supervisor's page")
    parser.add_argument("--open", action="store_true", help="with --desk: open the page in the browser")
    parser.add_argument("--transcript", metavar="FILE", type=Path, help="also write every step there, as JSON lines")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo to its end. Returns the exit code: 0 when every step went as it should."""
    import anyio

    from positions_mcp.cli.demo.conversation import Screen, Transcript
    from positions_mcp.cli.demo.desk import supervise
    from positions_mcp.cli.demo.story import tell

    if arguments.desk:
        try:
            anyio.run(partial(supervise, Screen(plain=arguments.plain), open_browser=arguments.open))
        except KeyboardInterrupt:
            print("\nEnded. Nothing of it is kept.")
        return 0
    return anyio.run(tell, Screen(plain=arguments.plain), Transcript(arguments.transcript))

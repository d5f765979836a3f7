"""How the demo prints: questions, tools, answers and their sizes, readable in any terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap

from positions_mcp.cli.output import Style, shows_colours, styled

_LONGEST_ANSWER_LINES = 34


class Screen:
    """Writes to standard output; with colours where it is a terminal and nobody asked for plain text."""

    def __init__(self, *, plain: bool = False) -> None:
        self._colours = not plain and shows_colours(sys.stdout)
        self._width = max(72, min(shutil.get_terminal_size((110, 40)).columns, 140))
        self._steps = 0

    def title(self, text: str) -> None:
        print(f"\n{self._in(Style.BOLD, text)}\n{'─' * min(len(text), self._width)}", flush=True)

    def note(self, text: str) -> None:
        """A paragraph of the demo's own words."""
        print(self._in(Style.DIM, textwrap.fill(text, self._width)), flush=True)

    def question(self, text: str) -> None:
        """What a person asks the assistant; numbered."""
        self._steps += 1
        print(f"\n{self._in(Style.BOLD, f'{self._steps}. “{text}”')}", flush=True)

    def call(self, tool: str, arguments: str) -> None:
        """The tool the assistant chose for it."""
        print(self._in(Style.BLUE, f"   → {tool} {arguments}"), flush=True)

    def answer(self, text: str, *, size: str, failed: bool = False) -> None:
        """The tool's text, shortened for the screen where it is long, and how large the whole answer was."""
        lines = text.splitlines()
        shown = lines[:_LONGEST_ANSWER_LINES]
        for line in shown:
            for part in textwrap.wrap(line, self._width - 3, subsequent_indent="  ") or [""]:
                print(f"   {self._in(Style.RED, part) if failed else part}")
        if len(lines) > len(shown):
            print(self._in(Style.DIM, f"   … {len(lines) - len(shown)} more lines of the answer"))
        print(self._in(Style.DIM, f"   [{size}]"), flush=True)

    def asked(self, text: str) -> None:
        """A question the server put to the person."""
        print(self._in(Style.BOLD, "   The server asks the person, not the assistant:"))
        for line in text.splitlines():
            for part in textwrap.wrap(line, self._width - 5, subsequent_indent="  ") or [""]:
                print(f"   │ {part}")

    def decided(self, text: str, *, approved: bool) -> None:
        print(self._in(Style.GREEN if approved else Style.RED, f"   {'✓' if approved else '✗'} {text}"), flush=True)

    def failure(self, text: str) -> None:
        """What did not go as the story says."""
        print(self._in(Style.RED, f"The demo failed: {text}"), flush=True)

    def verbatim(self, text: str) -> None:
        """Text to copy, exactly as it is."""
        print(textwrap.indent(text, "  "), flush=True)

    def _in(self, style: Style, text: str) -> str:
        return styled(text, style) if self._colours else text

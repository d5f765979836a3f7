"""Conversations of the demo for the README and docs/conversations.md, with what each answer costs in tokens.

`python -m benchmarks.conversations` plays the demo, counts, and writes both pages between their marks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import tokens
from benchmarks.processes import POSITIONS_MCP, ROOT, environment

PAGES = (ROOT / "README.md", ROOT / "docs" / "conversations.md")
_WIDTH = 116
_MOST_LINES = 14
_SHOWN_ROWS = 5
_CONVERSATIONS: dict[str, Sequence[str]] = {
    "short": ("Go ahead.",),
    "portfolio": (
        "What do I hold?",
        "Everything on AAPL, with its options.",
        "How do I stand, and what expires this week?",
    ),
    "close": (
        "Sell my NVDA shares.",
        "Then prepare to close KO and buy back the PLTR short.",
        "Go ahead.",
        "Is it done?",
    ),
    "evening": ("What will tonight leave me with, if I do nothing?",),
    "expiry": (
        "What will tonight leave me with, if I do nothing?",
        "Exercise TSLA and all of NVDA.",
        "Do it.",
        "Has clearing taken them?",
        "And the one on NVDA.",
    ),
}
"""Name of the mark in a page → the questions shown."""


def main() -> int:
    """Write the pages. Returns the exit code."""
    tokens.prepare()
    steps = _played()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, questions in _CONVERSATIONS.items():
            begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
            if begin in text:
                before, rest = text.split(begin)
                text = before + begin + _shown([steps[question] for question in questions]) + end + rest.split(end)[1]
        page.write_text(text, encoding="utf-8")
    return 0


def _played() -> dict[str, dict[str, Any]]:
    """The steps of the demo by their questions; of those asked twice the first."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "transcript"
        command = [*POSITIONS_MCP, "demo", "--plain", "--transcript", str(file)]
        subprocess.run(command, check=True, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        steps: dict[str, dict[str, Any]] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            step = json.loads(line)
            steps.setdefault(step["question"], step)
    return steps


def _shown(steps: Sequence[Mapping[str, Any]]) -> str:
    texts = [step["text"] for step in steps]
    structured = [json.dumps(step["structured"], separators=(",", ":"), ensure_ascii=False) for step in steps]
    sizes = tokens.count([*texts, *structured])
    of_text, of_structured = sizes[: len(steps)], sizes[len(steps) :]
    lines = []
    for step, text, data in zip(steps, of_text, of_structured, strict=True):
        lines += [*_step(step), f"   [{text:,} tokens of text, or {data:,} of structured content]", ""]
    total = f"In all {sum(of_text):,} tokens of text, or {sum(of_structured):,} of structured content (o200k)."
    return "```text\n" + "\n".join(lines) + total + "\n```\n"


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"“{step['question']}”"
    yield f"   → {step['tool']} {json.dumps(step['arguments'], ensure_ascii=False)}"
    for decision in step["person"]:
        yield "   The server asks the person, not the assistant:"
        yield from _indented(decision["asked"].splitlines(), "   │ ")
        yield f"   {'✓' if decision['approved'] else '✗'} {decision['who']}: {'yes' if decision['approved'] else 'no'}"
    answer = step["text"].splitlines()
    rows = [number for number, line in enumerate(answer) if "," in line and " " not in line.split(",", 1)[0]]
    is_a_table_to_its_end = rows == list(range(len(answer) - len(rows), len(answer)))
    if len(answer) > _MOST_LINES and len(rows) > 2 * _SHOWN_ROWS and is_a_table_to_its_end:
        last = rows[0] + _SHOWN_ROWS
        answer = [*answer[: last + 1], f"… {len(answer) - last - 1} more rows"]
    yield from _indented(answer, "   ")


def _indented(lines: Sequence[str], indent: str) -> Iterator[str]:
    for line in lines:
        for part in textwrap.wrap(line, _WIDTH - len(indent), subsequent_indent="  ") or [""]:
            yield f"{indent}{part}"


if __name__ == "__main__":
    sys.exit(main())

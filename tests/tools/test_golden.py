"""What the tools answer to a dozen questions about the demo book, word for word.

After an intended change: `REFRESH_SNAPSHOTS=1 python -m pytest tests/tools/test_golden.py`, and read the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer

from positions_mcp.tools.context import ToolContext
from tools.serving import ERAS, data_of, paper_server, refresh_wanted, text_of

GOLDEN = Path(__file__).with_name("golden")
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "what do I hold": ("list_positions", {}),
    "what moved today": ("list_positions", {"sort_by": "DAILY_UNREALIZED_PNL", "limit": 5}),
    "my losers": ("list_positions", {"sort_by": "UNREALIZED_PNL", "sort_direction": "ASC", "limit": 5}),
    "my shorts": ("list_positions", {"side": "short"}),
    "everything on AAPL": ("list_positions", {"underlying": "AAPL"}),
    "my options": ("list_positions", {"instrument_type": "OPTION", "sort_by": "SYMBOL"}),
    "AAPL and MSFT in full": ("list_positions", {"instruments": ["AAPL", "MSFT"], "detail": "full"}),
    "how do I stand": ("summarize_positions", {}),
    "how concentrated am I": ("summarize_positions", {"top": 3}),
    "long against short": ("summarize_positions", {"group_by": "side"}),
    "what expires when": ("summarize_positions", {"group_by": "expiry", "top": 10}),
    "my instructions": ("list_instructions", {}),
    "where am I": ("get_trading_status", {}),
}
_RANDOM = [
    (re.compile(r"`(?:POSITIONS_MCP_STORE__URL=[^` ]+ )?[^` ]*/(positions-mcp )"), r"`\1"),
    (re.compile(r"--data-dir [^` ]+"), "--data-dir DATA_DIR"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[0-9a-f]{12}-(?=[0-9]+\b)"), "LISTING-"),
    (re.compile(r"""(policy"?:? "?)[0-9a-f]{12}\b"""), r"\1FINGERPRINT"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MCPServer[ToolContext]]:
    """The server on the demo book, on a Friday at 10:30 in New York."""
    with paper_server(tmp_path, "demo") as ready:
        yield ready


def normal(text: str) -> str:
    for pattern, replacement in _RANDOM:
        text = pattern.sub(replacement, text)
    return text


@pytest.mark.requirement("T-02")
@pytest.mark.parametrize("question", QUESTIONS, ids=[name.replace(" ", "-") for name in QUESTIONS])
async def test_the_answer_is_the_golden_one_in_text_and_in_data(server: MCPServer[ToolContext], question: str) -> None:
    tool, arguments = QUESTIONS[question]
    async with Client(server, mode=ERAS[1]) as client:
        answer = await client.call_tool(tool, arguments)
    data = json.dumps(data_of(answer), indent=1, ensure_ascii=False)
    now = normal(f"{tool} {json.dumps(arguments)}\n\n{text_of(answer)}\n\n{data}\n")
    file = GOLDEN / f"{question.replace(' ', '-')}.txt"
    if refresh_wanted():
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(now, encoding="utf-8")
    assert now == file.read_text(encoding="utf-8")


def test_every_golden_file_is_an_answer_to_a_question() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {name.replace(" ", "-") for name in QUESTIONS}


@pytest.mark.requirement("T-02")
@pytest.mark.parametrize("question", QUESTIONS, ids=[name.replace(" ", "-") for name in QUESTIONS])
async def test_every_number_of_the_data_stands_in_the_text(server: MCPServer[ToolContext], question: str) -> None:
    tool, arguments = QUESTIONS[question]
    async with Client(server, mode=ERAS[0]) as client:
        answer = await client.call_tool(tool, arguments)
    text = text_of(answer)
    said = [cell for cell in _cells(data_of(answer)) if re.fullmatch(r"-?[0-9]+\.[0-9]+", cell)]
    assert [cell for cell in said if cell not in text] == []


def _cells(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _cells(each)

"""How many tokens the answers and the definitions of the tools cost, counted with the o200k vocabulary."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.processes import ACCOUNT, HERE, POSITIONS_MCP, ROOT, McpProcess, result_of, scenario_file, upstream
from benchmarks.report import Finding

VOCABULARY = "gpt-tokenizer@4.0.0"
_NODE_FOLDER = ROOT / "build" / "tokens"

_LIST_LIMIT = 2_500
_SUMMARY_LIMIT = 800
_DEFINITIONS_LIMIT = 4_500
_ANSWER_LIMIT = 4_000
_SHARE_OF_PEER = 0.02

Answer = tuple[str, str]
"""Text and structured content, as JSON, of one answer."""


def findings(folder: Path) -> Iterator[Finding]:
    """Every measurement, on one account with 1,000 positions."""
    with _server(folder) as server:
        tools = server.tools()
        answers = {tool["name"]: _answer(server, tool) for tool in tools}
    listed, structured, summary, summary_structured, definitions = count(
        [*answers["list_positions"], *answers["summarize_positions"], _json(tools)]
    )
    yield Finding("list_positions, text", listed, "tokens", _LIST_LIMIT)
    yield Finding("list_positions, structured content", structured, "tokens", _LIST_LIMIT)
    yield Finding("summarize_positions, text", summary, "tokens", _SUMMARY_LIMIT)
    yield Finding("summarize_positions, structured content", summary_structured, "tokens", _SUMMARY_LIMIT)
    yield Finding(f"definitions of all {len(tools)} tools", definitions, "tokens", _DEFINITIONS_LIMIT)
    sizes = count([part for answer in answers.values() for part in answer])
    for number, name in enumerate(answers):
        larger = max(sizes[2 * number : 2 * number + 2])
        yield Finding(f"{name}, the larger of both", larger, "tokens", _ANSWER_LIMIT)
    (generated,) = count([_peer_text(folder)])
    yield Finding(
        "list_positions beside the peer's answer", listed, "tokens", _SHARE_OF_PEER, base=generated, base_is="peer"
    )


def prepare() -> None:
    """Install the vocabulary in `build`, once.

    Raises:
        FileNotFoundError: there is no npm.
    """
    if not (_NODE_FOLDER / "node_modules" / "gpt-tokenizer").is_dir():
        _NODE_FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", *options, "--prefix", str(_NODE_FOLDER), VOCABULARY], check=True)


def count(texts: Sequence[str]) -> list[int]:
    """The tokens of each text."""
    command = ["node", str(HERE / "count_tokens.mjs"), str(_NODE_FOLDER)]
    counted = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    sizes: list[int] = json.loads(counted.stdout)
    return sizes


def _server(folder: Path) -> McpProcess:
    """positions-mcp on its embedded paper exchange, asked by a client that no person can be reached through."""
    options = ["--scenario", str(scenario_file("thousand")), "--data-dir", str(folder / "tokens")]
    return McpProcess([*POSITIONS_MCP, "serve", *options], {"POSITIONS_MCP_APPROVAL__WAIT_S": "0"})


def _answer(server: McpProcess, tool: Mapping[str, Any]) -> Answer:
    """What a tool answers to as few arguments as it takes."""
    given = {name: _sample(server, name) for name in tool["inputSchema"].get("required", ())}
    result = result_of(server.call(tool["name"], given))
    text = "\n".join(block["text"] for block in result["content"])
    return text, _json(result.get("structuredContent", {}))


def _sample(server: McpProcess, parameter: str) -> object:
    """A value for an argument that has to be given."""
    option = result_of(server.call("list_positions", {"instrument_type": "OPTION", "side": "long", "limit": 1}))
    symbol = option["structuredContent"]["rows"][0][0]
    unknown = "00000000-0000-4000-8000-000000000000"
    return {
        "account_id": ACCOUNT,
        "instruments": [symbol],
        "instrument": symbol,
        "instructions": [{"instrument": symbol, "instruction_type": "EXERCISE", "quantity": "1"}],
        "operation_id": unknown,
        "id": unknown,
        "plan_id": unknown,
    }[parameter]


def _peer_text(folder: Path) -> str:
    with upstream("thousand") as api, McpProcess(peer.command(api, folder)) as server:
        result = result_of(peer.call_positions(server))
    return "\n".join(block["text"] for block in result["content"])


def _json(value: object) -> str:
    """As it is on the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

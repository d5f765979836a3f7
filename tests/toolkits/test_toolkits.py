"""The tools, in toolkits that convert their schemas. `make toolkits` runs these tests; `make test` does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data_dirs import PROGRAM
from positions_mcp.tools.catalogue import NAMES

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-toolkits" / "bin" / "python"


def _made_of_the_server(toolkit: str, folder: Path) -> dict[str, Any]:
    server = [*PROGRAM, "serve", "--data-dir", str(folder)]
    adapter = (
        ["node", str(HERE / "ai_sdk.mjs")] if toolkit == "ai-sdk" else [PYTHON, str(HERE / "adapters.py"), toolkit]
    )
    done = subprocess.run([*adapter, *server], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.mark.parametrize("toolkit", ["openai-agents", "langchain", "google-genai", "ai-sdk"])
def test_a_toolkit_converts_every_tool_and_plans_a_close_with_null_for_what_is_left_out(
    toolkit: str, tmp_path: Path
) -> None:
    made = _made_of_the_server(toolkit, tmp_path)
    assert made["tools"] == list(NAMES)
    assert all(made.get("strict", {}).values())
    said = made["said"]
    assert "PAPER account 19816" in said["list_positions"]
    assert "PAPER account 19816" in said["summarize_positions"]
    assert "PAPER account 19816: plan op-" in said["preview_close"]
    assert "question cannot be shown" in said["close_positions"]


def test_the_adapter_of_google_genai_takes_no_closed_schema_and_the_documented_line_does(tmp_path: Path) -> None:
    """When this fails, the advice in docs/hosts.md is no longer needed."""
    assert _made_of_the_server("google-genai", tmp_path)["refused by its own adapter"] == len(NAMES)

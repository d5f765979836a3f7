"""Ready-to-paste client configurations, with the command of this very installation in them."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from positions_mcp.packaged import config_dir

_FILES = {
    "Claude Desktop: claude_desktop_config.json (Settings → Developer → Edit Config)": "claude-desktop.json",
    "Claude Code: run once in a shell": "claude-code.sh",
    "VS Code: .vscode/mcp.json in a workspace": "vscode.json",
    "Cursor: ~/.cursor/mcp.json": "cursor.json",
}


def executable() -> str:
    """The `positions-mcp` command of this installation: beside the running interpreter, else on the PATH."""
    beside = Path(sys.executable).with_name("positions-mcp")
    return str(beside) if beside.exists() else shutil.which("positions-mcp") or "positions-mcp"


def snippets() -> dict[str, str]:
    """A configuration for each client application, by where it goes."""
    command = executable()
    texts = {}
    for place, name in _FILES.items():
        template = (config_dir() / "clients" / name).read_text(encoding="utf-8")
        quoted = shlex.quote(command) if name.endswith(".sh") else command.replace("\\", "\\\\").replace('"', '\\"')
        texts[place] = template.replace("positions-mcp", quoted)
    return texts

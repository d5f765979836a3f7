"""The artefacts, one function each: it builds one into a folder, and returns its file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from release import archive
from release.places import PACKAGING, ROOT, UV, date_of_the_sources, run
from release.tools import tool

_BUNDLE_PROJECT = """\
# What the host installs before it starts server.py: the program beside this file, with the versions it was tested with.
[project]
name = "positions-mcp-bundle"
version = "{version}"
requires-python = ">=3.11"
dependencies = ["positions-mcp"]

[tool.uv]
package = false
constraint-dependencies = {constraints}

[tool.uv.sources]
positions-mcp = {{ path = "{wheel}" }}
"""


def packages(folder: Path) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": date_of_the_sources()}
    run(UV, "build", "--quiet", "--out-dir", folder, ROOT, environment=environment)
    (folder / ".gitignore").unlink(missing_ok=True)
    (source,) = folder.glob("positions_mcp-*.tar.gz")
    (wheel,) = folder.glob("positions_mcp-*.whl")
    return source, wheel


def bundle(folder: Path, wheel: Path) -> Path:
    """The `.mcpb` bundle: the wheel, and what a host with uv needs to install and start it on any platform."""
    version = wheel.name.split("-")[1]
    file = folder / f"positions-mcp-{version}.mcpb"
    with tempfile.TemporaryDirectory() as making:
        inside = Path(making)
        for name in ("manifest.json", "server.py", "icon.png"):
            shutil.copy(PACKAGING / "bundle" / name, inside)
        shutil.copy(ROOT / "LICENSE", inside)
        shutil.copy(wheel, inside)
        project = _BUNDLE_PROJECT.format(version=version, constraints=json.dumps(_tested(), indent=4), wheel=wheel.name)
        (inside / "pyproject.toml").write_text(project, encoding="utf-8")
        run(tool("mcpb"), "pack", inside, file)
    archive.write(file, archive.read(file), date_of_the_sources())
    return file


def plugin(folder: Path) -> Path:
    """The Claude plugin: the skill, and how its server is started."""
    version = json.loads((PACKAGING / "plugin" / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
    contents = archive.below(PACKAGING / "plugin") | {"LICENSE": (ROOT / "LICENSE").read_bytes()}
    file = folder / f"positions-mcp-plugin-{version['version']}.zip"
    archive.write(file, contents, date_of_the_sources())
    return file


def registry_entry(folder: Path) -> Path:
    """What the MCP registry is told."""
    return Path(shutil.copy(ROOT / "server.json", folder))


def _tested() -> list[str]:
    """The versions of everything the program needs, on every platform, out of those that the tests run with."""
    resolved = run(
        UV,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--no-header",
        "--no-annotate",
        "--python-version=3.11",
        "--constraint=constraints.txt",
        "pyproject.toml",
    )
    return resolved.splitlines()

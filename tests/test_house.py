"""The house itself: who may import whom, and how large a room may grow."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "positions_mcp"
MODULES = sorted(SOURCE.rglob("*.py"))

# For each room, the rooms it may import. A module outside a package is a room of its own name.
ALLOWED: dict[str, set[str]] = {
    "domain": set(),
    "ports": {"domain"},
    "clock": set(),
    "market_calendar": {"domain"},
    "packaged": set(),
    "settings": {"domain", "packaged"},
    "endorsement": {"domain"},
    "guard": {"domain", "ports", "endorsement"},
    "api": {"domain", "ports", "clock"},
    "store": {"domain", "ports", "endorsement"},
    "desk": {"domain", "ports", "guard"},
    "paper": {"ports", "clock", "market_calendar", "packaged", "domain.account.sessions"},
    "tools": {"domain", "ports", "guard"},
    "resources": {"domain", "ports", "guard", "tools"},
    "prompts": {"domain", "ports", "packaged"},
    "server": {"domain", "ports", "guard", "tools", "resources", "prompts"},
}
OUTSIDE_ONLY_IN: dict[str, set[str]] = {
    "mcp": {"server", "tools", "resources", "prompts", "cli.demo"},
    "mcp_types": {"server", "tools", "resources", "prompts", "cli.demo"},
    "httpx": {"api", "cli.paper_transport"},
    "msgspec": {"api"},
    "urllib.request": {"api"},
    "sqlalchemy": {"store"},
    "sqlite3": {"paper", "store"},
    "starlette": {"paper", "desk"},
    "uvicorn": {"paper", "desk", "cli"},
}
DOMAIN_MAY_USE = {*sys.stdlib_module_names, "pydantic", "positions_mcp"}
LONGEST_FILE = 350


def room_of(module: str) -> str:
    """`positions_mcp.api.client` lives in `api`; `positions_mcp.cli.demo` in `cli.demo`."""
    parts = module.split(".")[1:]
    if not parts:
        return ""
    return ".".join(parts[:2]) if parts[0] == "cli" else parts[0]


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(importer: str, imported: str) -> bool:
    inside = imported.removeprefix("positions_mcp.")
    room = importer.split(".", maxsplit=1)[0]
    if inside in ("positions_mcp", "__version__") or inside.split(".")[0] == room or room in ("cli", "__main__", ""):
        return True
    return any(inside == name or inside.startswith(f"{name}.") for name in ALLOWED.get(room, set()))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    room = room_of(name_of(path))
    wrong = [name for name in imports_of(path) if name.startswith("positions_mcp") and not is_allowed(room, name)]
    assert not wrong, f"{name_of(path)} may not import {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_used_only_in_its_room(path: Path) -> None:
    room = room_of(name_of(path))
    for name in imports_of(path):
        homes = OUTSIDE_ONLY_IN.get(name.split(".")[0]) or OUTSIDE_ONLY_IN.get(name)
        assert homes is None or room in homes or room.split(".")[0] in homes, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(SOURCE / "domain")], ids=name_of)
def test_the_domain_uses_the_standard_library_and_pydantic_only(path: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(path)} <= DOMAIN_MAY_USE


def test_every_room_is_in_the_plan_of_the_house() -> None:
    rooms = {room_of(name_of(path)).split(".")[0] for path in MODULES} - {"", "cli", "__main__"}
    assert rooms <= set(ALLOWED), f"not in the plan: {rooms - set(ALLOWED)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_has_one_subject_and_stays_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE

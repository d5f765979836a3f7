"""The layout: who may import whom, no circles, no name twice, and how long a file may grow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "positions_mcp"
MODULES = sorted(SOURCE.rglob("*.py"))
FOLDERS = {"benchmarks", "config", "docs", "packaging", "prompts", "src", "tests"}

# For each package, the packages it may import. A module outside a package counts as one of its own name.
ALLOWED: dict[str, set[str]] = {
    "domain": set(),
    "ports": {"domain", "signing"},
    "addresses": set(),
    "clock": set(),
    "lazy_imports": set(),
    "market_calendar": {"domain", "lazy_imports"},
    "packaged": set(),
    "platforms": set(),
    "settings": {"addresses", "domain", "packaged"},
    "signing": {"domain"},
    "guard": {"domain", "ports", "signing", "in_flight"},
    "api": {"domain", "ports", "clock"},
    "store": {"domain", "ports", "signing", "platforms"},
    "desk": {"addresses", "domain", "ports", "guard", "signing"},
    "paper": {"ports", "platforms", "clock", "market_calendar", "packaged", "domain.account.sessions"},
    "tools": {"domain", "ports", "guard", "platforms", "in_flight"},
    "resources": {"domain", "ports", "guard", "tools"},
    "prompts": {"domain", "ports", "packaged"},
    "asgi": set(),
    "http_sessions": {"addresses", "asgi", "in_flight"},
    "request_states": {"domain"},
    "operating": {"asgi", "in_flight"},
    "door": {"asgi", "domain", "ports", "tools"},
    "stdio": set(),
    "in_flight": set(),
    "identity": set(),
    "views": {"tools._uris"},
    "server": {
        "domain",
        "ports",
        "guard",
        "tools",
        "resources",
        "prompts",
        "http_sessions",
        "request_states",
        "stdio",
        "identity",
        "views",
    },
}
# The layers of the guard, lowest first. A part imports itself and lower layers: nothing climbs, and no kind of
# operation knows another one.
GUARD_LAYERS: list[set[str]] = [
    {"expiration", "threads"},
    {"dependencies"},
    {"orders"},
    {"account"},
    {"policy"},
    {"kind"},
    {"closing", "exercising"},
    {"kinds"},
    {"approval"},
    {"sending"},
    {"reports", "reconcile", "cancelling"},
    {"planner", "asking"},
    {"routing"},
    {"deciding"},
    {"touches"},
    {"enrolling"},
    {"delegating", "withdrawing"},
    {"guard", "supervisor"},
]
OUTSIDE_ONLY_IN: dict[str, set[str]] = {
    "mcp": {
        "server",
        "http_sessions",
        "door",
        "request_states",
        "stdio",
        "tools",
        "resources",
        "prompts",
        "views",
        "cli.demo",
    },
    "mcp_types": {
        "server",
        "http_sessions",
        "stdio",
        "tools",
        "resources",
        "prompts",
        "views",
        "cli.demo",
        "cli.serving",
    },
    "httptools": {"api"},
    "httpx": {"api", "door", "cli.assembly"},
    "msgspec": {"api"},
    "urllib.request": {"api"},
    "sqlalchemy": {"store"},
    "sqlite3": {"paper", "store"},
    "jwt": {"door"},
    "starlette": {"asgi", "http_sessions", "operating", "door", "server", "paper", "desk", "cli"},
    "uvicorn": {"paper", "cli"},
    "ruamel": {"cli.install"},
    "shtab": {"cli.completion"},
    **{name: {"platforms"} for name in ("fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "tty", "winreg")},
}
# What is on some platforms only, or means something else on another one: `platforms` has it behind an interface.
NOT_EVERYWHERE = re.compile(
    r"\bos\.(?:O_(?!CREAT\b|EXCL\b|RDWR\b|WRONLY\b|RDONLY\b)\w+|\w*ch(?:mod|own)|get\w*[ug]id|fork|kill|mkfifo|name)\b"
    r"|\bos\.(?:setsid|uname|umask)\b|\bsocket\.(?:AF_UNIX|SO_REUSE\w+)|\bsignal\.SIG(?!INT\b|TERM\b|nals\b)\w+"
    r"|\bst_mode\b|\bstat\.S_\w+|\bopen_signal_receiver\b|\badd_signal_handler\b|\.l?chmod\(|\"/dev/|%-[dmHIMSj]\b"
)
DOMAIN_MAY_USE = {*sys.stdlib_module_names, "pydantic", "positions_mcp"}
LONGEST_FILE = 350


def package_of(module: str) -> str:
    """`positions_mcp.api.client` belongs to `api`; `positions_mcp.cli.demo` to `cli.demo`."""
    parts = module.split(".")[1:]
    if not parts:
        return ""
    return ".".join(parts[:2]) if parts[0] == "cli" else parts[0]


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Every module or name that a file imports, wherever in the file the import stands."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def imports() -> Iterator[tuple[str, str]]:
    """Every module of the program with each thing that it imports."""
    return ((name_of(path), name) for path in MODULES for name in imports_of(path))


def is_allowed(importer: str, imported: str) -> bool:
    inside = imported.removeprefix("positions_mcp.")
    package = importer.split(".", maxsplit=1)[0]
    if inside in ("positions_mcp", "__version__") or inside.split(".")[0] == package:
        return True
    if package in ("cli", "__main__", ""):
        return True
    return any(inside == name or inside.startswith(f"{name}.") for name in ALLOWED.get(package, set()))


def climbs(importer: str, imported: str) -> bool:
    """Whether a part of the guard imports one that is not below it."""
    mine, theirs = importer.split(".")[2], imported.split(".")[2]
    return mine != theirs and layer_of(theirs) >= layer_of(mine)


def layer_of(part: str) -> int:
    (layer,) = (number for number, parts in enumerate(GUARD_LAYERS) if part in parts)
    return layer


def graph() -> Mapping[str, set[str]]:
    """The modules that each module imports. `from package import module` is an import of the module."""
    modules = {name_of(path): path for path in MODULES}
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for imported in imports_of(path):
            found = imported if imported in modules else imported.rpartition(".")[0]
            edges[name] |= {found} & set(modules) - {name}
    return edges


def circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach one another."""
    reaches = {name: set(_reached(edges, name)) for name in edges}
    found = {frozenset(other for other in reaches[name] if name in reaches[other]) for name in edges}
    return [set(circle) for circle in found if circle]


def _reached(edges: Mapping[str, set[str]], start: str) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += edges[name]


def test_a_package_imports_only_the_packages_it_may() -> None:
    wrong = [
        (module, name)
        for module, name in imports()
        if name.startswith("positions_mcp") and not is_allowed(package_of(module), name)
    ]
    assert wrong == []


def test_an_import_in_the_guard_does_not_climb() -> None:
    guard = [(module, name) for module, name in imports() if package_of(module) == "guard"]
    inside = [(module, name) for module, name in guard if name.startswith("positions_mcp.guard.")]
    assert len(inside) > 100
    assert [each for each in inside if each[0] == "positions_mcp.guard" or climbs(*each)] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circles(graph()) == []


def test_a_circle_is_found_however_long_it_is() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"f"}, "f": {"e"}, "g": set()}
    assert sorted(map(sorted, circles(edges))) == [["a", "b", "c"], ["e", "f"]]


def test_no_class_of_the_domain_or_the_guard_has_the_name_of_another() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if package_of(name_of(path)) in ("domain", "guard"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_a_library_is_used_only_in_its_packages() -> None:
    wrong = []
    for module, name in imports():
        package = package_of(module)
        homes = OUTSIDE_ONLY_IN.get(name.split(".")[0]) or OUTSIDE_ONLY_IN.get(name)
        if homes is not None and package not in homes and package.split(".")[0] not in homes:
            wrong.append((module, name))
    assert wrong == []


def test_what_is_not_on_every_platform_is_used_behind_the_interface_of_platforms_only() -> None:
    outside = [path for path in MODULES if not path.is_relative_to(SOURCE / "platforms")]
    found = [(name_of(path), NOT_EVERYWHERE.search(path.read_text(encoding="utf-8"))) for path in outside]
    assert [(module, used[0]) for module, used in found if used] == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        *[
            (line, True)
            for line in ("os.open(path, os.O_NOFOLLOW)", "os.getuid()", "os.geteuid()", "path.chmod(0o600)")
        ],
        *[(line, True) for line in ("path.stat().st_mode", "signal.SIGHUP", "socket.SO_REUSEADDR", 'open("/dev/tty")')],
        *[(line, True) for line in ("anyio.open_signal_receiver(x)", "os.O_CLOEXEC | os.O_RDWR", "f'{now:%-d}'")],
        *[(line, False) for line in ("os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)", "signal.SIGINT")],
        *[(line, False) for line in ("signal.Signals", "os.environ", "os.devnull", "the names of os.path")],
    ],
)
def test_what_is_not_on_every_platform_is_found(line: str, is_found: bool) -> None:
    assert bool(NOT_EVERYWHERE.search(line)) is is_found


def test_the_domain_uses_the_standard_library_and_pydantic_only() -> None:
    used = [(module, name) for module, name in imports() if package_of(module) == "domain"]
    assert [each for each in used if each[1].split(".")[0] not in DOMAIN_MAY_USE] == []


def test_the_layout_names_the_packages_that_there_are_and_no_other() -> None:
    packages = {package_of(name_of(path)).split(".")[0] for path in MODULES} - {"", "cli", "__main__"}
    assert packages == set(ALLOWED)
    named = {name.split(".")[0] for homes in OUTSIDE_ONLY_IN.values() for name in homes}
    assert named <= {*packages, "cli"}
    parts = {name_of(path).split(".")[2] for path in MODULES if name_of(path).startswith("positions_mcp.guard.")}
    assert parts == set().union(*GUARD_LAYERS)


def test_contributors_are_told_what_every_package_is() -> None:
    page = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.findall(r"^  ([a-z_]+)/ ", page.partition("## The layout")[2].partition("\nImports")[0], re.MULTILINE)
    assert sorted(told) == sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def test_a_file_has_one_subject_and_stays_short() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {module: length for module, length in lines.items() if length > LONGEST_FILE} == {}


def test_nothing_but_what_a_reader_expects_stands_at_the_top() -> None:
    """A tool's downloads and leavings do not come along with what is committed."""
    tracked = subprocess.run(["git", "ls-files"], cwd=SOURCE.parents[1], capture_output=True, text=True, check=False)
    names = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    known = {".ci", ".claude-plugin", ".dockerignore", ".gitignore", "Dockerfile", "LICENSE", "Makefile", *FOLDERS}
    known |= {"CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"}
    known |= {"compose.yaml", "constraints.txt", "pyproject.toml", "release", "server.json"}
    assert names <= known


def test_every_python_file_that_is_named_to_a_reader_is_there() -> None:
    top = SOURCE.parents[1]
    there = {f"/{path.relative_to(top).as_posix()}" for folder in FOLDERS for path in (top / folder).rglob("*.py")}
    read = [*top.glob("*.md"), *(top / "docs").glob("*.md")]
    named = {each for page in read for each in re.findall(r"`([a-z0-9_/.]+\.py)`", page.read_text(encoding="utf-8"))}
    assert named
    assert [each for each in sorted(named) if not any(path.endswith(f"/{each}") for path in there)] == []


def test_what_is_for_a_reader_is_without_the_marks_of_a_merge() -> None:
    top = SOURCE.parents[1]
    read = [*top.glob("*.md"), *(top / "docs").glob("*.md"), *(top / "prompts").glob("*.md")]
    marks = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
    assert [path.name for path in read if marks.search(path.read_text(encoding="utf-8"))] == []


def test_one_module_knows_the_escapes_of_terminals() -> None:
    escapes = re.compile(r"\\033|\\x1b|\\u001b|\\e\[")
    assert [name_of(path) for path in MODULES if escapes.search(path.read_text(encoding="utf-8"))] == [
        "positions_mcp.cli.output"
    ]

"""Modules that are run when something of them is first used, and what of the SDK that is."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from positions_mcp.lazy_imports import LazyImports, StandIn

_LIBRARY = """
class Kind:
    word = "kind"

    def __class_getitem__(cls, key):
        return cls

    def __init__(self, number=1):
        self.number = number
"""
_USES = {
    "a call": ("used = lambda: Kind(2).number", 2),
    "an attribute": ("used = lambda: Kind.word", "kind"),
    "a check of a value": ("used = lambda: (isinstance(1, Kind), isinstance(Kind(), Kind))", (False, True)),
    "a check of a class": ("used = lambda: (issubclass(int, Kind), issubclass(Kind.itself(), Kind))", (False, True)),
    "a module": ("import slow_library.inside as inside\nused = lambda: inside.Kind.word", "kind"),
    "a derived class": ("class Derived(Kind): pass\nused = lambda: Derived(3).number", 3),
    "a parameter of a kind": ("used = lambda: Kind[int].word", "kind"),
    "a union": ("Either = Kind | None\nused = lambda: str(Either)", "slow_library.inside.Kind | None"),
    "a union, the other way round": (
        "Either = None | Kind\nused = lambda: str(Either)",
        "None | slow_library.inside.Kind",
    ),
    "a field": (
        """
from pydantic import BaseModel, ConfigDict
class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: Kind
used = lambda: Model(kind=Kind(4)).kind.number
""",
        4,
    ),
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a module inside, on the path; gone from memory afterwards."""
    package = tmp_path / "slow_library"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inside.py").write_text(_LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("slow_library", "slow_library.inside", "its_user"):
        sys.modules.pop(name, None)


def _user(folder: Path, text: str = "", *deferred: str) -> ModuleType:
    """A module that imports a name of the library, imported in a deferral."""
    (folder / "its_user.py").write_text(f"from slow_library.inside import Kind\n{text}\n")
    importlib.invalidate_caches()
    with LazyImports(*(deferred or ("slow_library",))):
        return importlib.import_module("its_user")


@pytest.mark.parametrize("use", _USES)
def test_a_stand_in_is_used_as_the_thing_itself(library: Path, use: str) -> None:
    text, answer = _USES[use]
    assert _user(library, text).used() == answer


def test_nothing_is_run_for_a_name_that_is_not_used(library: Path) -> None:
    (library / "slow_library" / "inside.py").write_text("raise AssertionError")
    assert isinstance(_user(library).Kind, StandIn)


@pytest.mark.parametrize("deferred", ["slow_library", "slow_library.inside"])
def test_modules_are_imported_as_ever_behind_a_deferral(library: Path, deferred: str) -> None:
    _user(library, "", deferred)
    from slow_library import inside  # type: ignore[import-not-found]

    assert inside.Kind.word == "kind"


def test_a_module_that_is_imported_already_stays(library: Path) -> None:
    before = importlib.import_module("slow_library.inside")
    assert _user(library).Kind is before.Kind
    assert sys.modules["slow_library.inside"] is before


def test_a_name_that_is_not_there_is_said_when_it_is_used(library: Path) -> None:
    user = _user(library, "from slow_library.inside import Missing")
    with pytest.raises(AttributeError, match="Missing"):
        user.Missing()


_OF_THE_SDK = """
import sys
from positions_mcp.lazy_imports import StandIn
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.cli.serving.first_answer import NOT_FOR_STANDARD_STREAMS, importing_what_answers_first

with importing_what_answers_first():
    from positions_mcp.server import build_server
    build_server(None, mode=Mode.PAPER, accounts=())
print("run:", [name for name in sys.modules if name in ("rich", *NOT_FOR_STANDARD_STREAMS)])
modules = list(sys.modules.values())
standing_in = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, StandIn)}
print("left to be used:", bool(standing_in))
print("not there:", [value for value in standing_in.values() if value.itself() is None])
"""


def test_the_server_is_imported_without_the_sdks_client_and_http_half_which_are_there_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", _OF_THE_SDK], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["run: []", "left to be used: True", "not there: []"]

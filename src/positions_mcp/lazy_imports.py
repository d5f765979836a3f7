"""Modules that are run when something of them is first used, not when another module imports it.

Inside a deferral, who imports a name from such a module gets a stand-in, which becomes the thing itself when it is
called, asked for an attribute, checked against or derived from. Behind the deferral the modules are imported as ever.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class LazyImports(MetaPathFinder, Loader):
    """A while in which modules of these names, and the ones inside them, are not run when they are imported.

    What is imported already stays. The first use of a stand-in ends the deferral: a module that needs one of the names
    at once, for a base class for example, gets it, and what it imports behind that is imported as ever.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._deferred: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name, module in self._deferred.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
            parent, _, child = name.rpartition(".")
            around = sys.modules.get(parent)
            if around is not None and vars(around).get(child) is module:
                delattr(around, child)
        self._deferred.clear()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 — the interface's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """A module of stand-ins, for the names that are deferred."""
        if any(fullname == name or fullname.startswith(f"{name}.") for name in self._names):
            return importlib.util.spec_from_loader(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that answers every name with a stand-in."""
        module = self._deferred[spec.name] = _Deferred(spec.name, self)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run."""


class _Deferred(ModuleType):
    def __init__(self, name: str, deferral: LazyImports) -> None:
        super().__init__(name)
        self._deferral = deferral

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(self._deferral, self.__name__, name)


class StandIn:
    """Stands for one name of a module that is not run yet."""

    def __init__(self, deferral: LazyImports, module: str, name: str) -> None:
        self._deferral = deferral
        self._module = module
        self._name = name

    def itself(self) -> Any:
        """What it stands for. Runs the module."""
        self._deferral.end()
        return getattr(importlib.import_module(self._module), self._name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.itself()(*given, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.itself(), name)

    def __getitem__(self, key: Any) -> Any:
        return self.itself()[key]

    def __or__(self, other: Any) -> Any:
        return self.itself() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.itself()

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self.itself())

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self.itself())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.itself(),)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.itself())

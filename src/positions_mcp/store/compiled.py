"""Statements that are compiled once for each database, and then given to its driver as text.

SQLAlchemy makes, keys and wraps a statement anew whenever it is executed, which takes several times as long as the
database itself. What every close asks and writes goes this way; everything else goes through SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import BindParameter, Connection, Executable, bindparam
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.types import TypeEngine


def given(name: str, type_: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """What a statement is given under a name, of the type of what it is compared with. The driver asks for it."""
    return bindparam(name, required=False, type_=type_)


@contextmanager
def _driver(connection: Connection) -> Iterator[Any]:
    """The driver's own session. One that turns out to be over is not used again, and is not rolled back in vain."""
    driver: Any = connection.connection.driver_connection
    try:
        yield driver
    except connection.dialect.loaded_dbapi.Error as error:
        if connection.dialect.is_disconnect(error, driver, None):
            connection.invalidate(error)
        raise


@contextmanager
def asking_ahead(connection: Connection) -> Iterator[None]:
    """Within, PostgreSQL works on what it was asked while this program looks at what was answered before."""
    with _driver(connection) as driver, driver.pipeline() if hasattr(driver, "pipeline") else nullcontext():
        yield


class Compiled:
    """A statement with named parameters. It gives back rows as the driver has them: plain tuples."""

    def __init__(self, made: Executable) -> None:
        if not isinstance(made, CompilerElement):
            raise TypeError(f"{made!r} cannot be compiled")
        self._made = made
        self._texts: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def ask(self, connection: Connection, **values: Any) -> Any:
        """Ask. The cursor that is given back waits for its answer within `asking_ahead`."""
        text, constant = self._text(connection)
        with _driver(connection) as driver:
            return driver.execute(text, {**constant, **values})

    def all(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._answered(connection, values).fetchall()
        return found

    def first(self, connection: Connection, **values: Any) -> tuple[Any, ...] | None:
        return next(iter(self.all(connection, **values)), None)

    def run(self, connection: Connection, **values: Any) -> int:
        """Change something. Returns how many rows that were."""
        count: int = self._answered(connection, values).rowcount
        return count

    def _answered(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """A cursor with the answer: the session's own for this statement, which knows how to read and write it."""
        text, constant = self._text(connection)
        with _driver(connection) as driver:
            cursor = connection.info.get(text)
            if cursor is None:
                cursor = connection.info[text] = driver.cursor()
            cursor.execute(text, {**constant, **values})
            return cursor

    def many(self, connection: Connection, each: Sequence[Mapping[str, Any]]) -> None:
        if len(each) == 1:
            self.run(connection, **each[0])
        elif each:
            text, constant = self._text(connection)
            with _driver(connection) as driver:
                driver.cursor().executemany(text, [{**constant, **values} for values in each])

    def _text(self, connection: Connection) -> tuple[str, Mapping[str, Any]]:
        dialect = connection.dialect
        if dialect.name not in self._texts:
            if dialect.positional and isinstance(dialect, DefaultDialect):
                dialect = type(dialect)(paramstyle="named")
            compiled = self._made.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            constant = {key: value for key, value in compiled.params.items() if value is not None}
            self._texts[dialect.name] = str(compiled), constant
        return self._texts[dialect.name]

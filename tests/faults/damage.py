"""Damage to the operation store, of every kind, and what a person's brakes then do: `halt` and `flatten`.

Each case is a copy of one data directory whose store holds operations in many states. `halt` either halts or says that
it does not; `flatten` sends, on the store or on an emergency record. Anything else is a broken promise.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import anyio

from cli.person import ACCOUNT, PASSPHRASE, furnish
from positions_mcp.cli import parser_of
from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.cli.terminal import Terminal
from positions_mcp.domain.errors import PositionsError
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.guard import Guard
from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.settings import load
from positions_mcp.signing.keys import ScryptCost
from positions_mcp.store import DEFAULT_FILE
from positions_mcp.store.schema import TABLES

Damage = Callable[[Path], None]
WRONG = ("''", "'x'", "'{}'", "'[]'", "'null'", "'0:'", "-1", "1e308", "9223372036854775807", "X'ff00'", "'\"'", "NULL")
"""What may come to stand in any column."""


def make_template(folder: Path) -> None:
    """A data directory with an approver and operations that were closed, declined and left waiting."""
    furnish(folder)
    settings = load({"mode": "paper", "data_dir": folder})

    async def live() -> None:
        with open_venue(settings) as venue, open_operations(settings) as store:
            async with (
                venue.connect() as client,
                Guard(guard_dependencies(settings, client, venue.clock, store)) as guard,
            ):
                for symbol in ("AMZN", "JPM", "XOM"):
                    request = CloseRequest(account_id=ACCOUNT, instruments=(symbol,), cancel_orders=True)
                    planned = await guard.plan(request, caller="test")
                    operation = await guard.ask(planned.operation)
                    if symbol == "AMZN":
                        await guard.send_elicited(operation, caller="test", client="a client")
                    if symbol == "JPM":
                        await guard.decline(operation, client="a client")

    anyio.run(live)


def pages(seed: int) -> Damage:
    """Bytes of the file changed at random: a few, a run of them, or a whole page, in one to five places."""
    draw = random.Random(seed)

    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        for _ in range(draw.randint(1, 5)):
            length = draw.choice((1, 2, 8, 64, 512, 4096))
            start = draw.randrange(len(content) - length)
            if length == 4096:
                start -= start % 4096
            content[start : start + length] = bytes(length) if draw.random() < 0.3 else draw.randbytes(length)
        file.write_bytes(content)

    return damage


def value(table: str, column: str, wrong: str) -> Damage:
    """One column of a table holds something else, in every row."""

    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection:
            with contextlib.suppress(sqlite3.IntegrityError):  # the table itself refuses it
                connection.execute(f"UPDATE {table} SET {column} = {wrong}")
            connection.commit()

    return damage


def values() -> Iterator[tuple[str, Damage]]:
    """Every column of every table, with every wrong value."""
    for table in TABLES.sorted_tables:
        for column in table.columns:
            for wrong in WRONG:
                yield f"{table.name}.{column.name} = {wrong}", value(table.name, column.name, wrong)


def without(table: str) -> Damage:
    """A table is gone."""

    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"DROP TABLE {table}")

    return damage


def cut(to: float) -> Damage:
    """The file is cut to a part of its length."""

    def damage(file: Path) -> None:
        os.truncate(file, int(file.stat().st_size * to))

    return damage


def foreign(file: Path) -> None:
    """Somebody else's database."""
    file.unlink()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE meta (name TEXT, content BLOB)")
        other.commit()


def folder(file: Path) -> None:
    """A directory where the file was."""
    file.unlink()
    file.mkdir()


def link(file: Path) -> None:
    """A link to elsewhere."""
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def letter(file: Path) -> None:
    """No database at all."""
    file.write_text("a letter to somebody " * 500, encoding="ascii")


OTHERS: dict[str, Damage] = {
    "emptied": cut(0),
    "cut to a header": cut(0.001),
    "cut in the middle": cut(0.5),
    "cut at the end": cut(0.97),
    "foreign": foreign,
    "a folder": folder,
    "a link": link,
    "a letter": letter,
    **{f"without {table.name}": without(table.name) for table in TABLES.sorted_tables},
}


class Person(Terminal):
    """Somebody who answers every prompt of `flatten`, and what was shown to them."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.shown: list[str] = []

    def show(self, text: str) -> None:
        self.shown.append(text)

    def ask(self, prompt: str) -> str:
        self.shown.append(prompt)
        return str(ACCOUNT)

    def ask_secret(self, prompt: str) -> str:
        self.shown.append(prompt)
        return PASSPHRASE


@dataclass
class Braked:
    """What came of the brakes. `broken` names every promise that did not hold: none is the aim."""

    halt: str = ""
    flatten: str = ""
    broken: list[str] = field(default_factory=list)


def brake(template: Path, folder: Path, damage: Damage) -> Braked:
    """Damage a copy of the store, flatten one position, and halt."""
    data_dir = folder / "data"
    shutil.copytree(template, data_dir)
    damage(data_dir / DEFAULT_FILE)
    found = Braked()
    _flatten(data_dir, folder, found)
    _halt(data_dir, found)
    return found


def _halt(data_dir: Path, found: Braked) -> None:
    arguments = _arguments("halt", "the", "end", "--data-dir", str(data_dir))
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = arguments.handler(arguments)
        found.halt = "halted"
        if code or "HALTED" not in said.getvalue():
            found.broken.append(f"halt ended with {code}: {said.getvalue()}")
    except PositionsError as error:
        found.halt = "not halted"
        if "It is NOT halted" not in str(error):
            found.broken.append(f"halt did not say that it failed: {error}")
    except BaseException as error:
        found.broken.append(f"halt ended in {type(error).__name__}: {error}")


def _flatten(data_dir: Path, folder: Path, found: Braked) -> None:
    before, person = _closes(data_dir), Person()
    arguments = _arguments("flatten", str(ACCOUNT), "KO", "--follow", "0", "--data-dir", str(data_dir))
    with (
        mock.patch("positions_mcp.cli.flatten.controlling_terminal", return_value=contextlib.nullcontext(person)),
        mock.patch("tempfile.tempdir", str(folder)),
        mock.patch("positions_mcp.signing.keys.ScryptCost", _quick),
    ):
        try:
            code = arguments.handler(arguments)
        except BaseException as error:
            found.broken.append(f"flatten ended in {type(error).__name__}: {error}")
            return
    elsewhere = any("THE OPERATION STORE CANNOT BE USED" in text for text in person.shown)
    found.flatten = "emergency record" if elsewhere else "its own record"
    sent = _closes(data_dir) - before
    if code or sent != 1:
        found.broken.append(f"flatten ended with {code} after {sent} requests: {person.shown[-1]}")


def _quick(n: int = 2**4, r: int = 8, p: int = 1) -> ScryptCost:
    """scrypt that nobody waits for."""
    return ScryptCost(n, r, p)


def _closes(data_dir: Path) -> int:
    exchange = PaperExchange.open(data_dir, accounts=None)
    try:
        return exchange.effect_counts().get("close_position", 0)
    finally:
        exchange.close()


def _arguments(command: str, *words: str) -> argparse.Namespace:
    return parser_of(command).parse_args([command, *words])

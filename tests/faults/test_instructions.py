"""Whatever the exchange does and wherever the program dies: a batch or a cancel has one effect and is remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from beginnings import begin_book, store_in
from faults.campaign import (
    ACCOUNT,
    CALLER,
    CRASHES,
    FAULTS,
    LATER,
    PASSPHRASE,
    STANDING,
    UNREADABLE_AFTER_EFFECT,
    Case,
    Clock,
    Crash,
    MortalStore,
    Reaper,
    client_of,
    no_pause,
    parts_of,
)
from positions_mcp.api import PositionsClient
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper import KINDS as FAULT_KINDS
from positions_mcp.paper import PaperError, PaperExchange
from positions_mcp.paper.fault_kinds import KINDS_FOR
from positions_mcp.signing.keys import ScryptCost
from positions_mcp.store.operations import SqlOperationStore

AFTERNOON = datetime(2026, 11, 20, 19, 30, tzinfo=UTC)
ENDPOINTS = {"submit": "submit_position_instructions", "cancel": "cancel_position_instruction"}


def _strikes(fault: str, endpoint: str) -> bool:
    """Whether a fault can strike an endpoint, itself or what is read of the account beside it."""
    name = fault.partition(" ")[0]
    return name in STANDING or endpoint in KINDS_FOR.get(name, (endpoint,))


ALL_FAULTS = (
    *(fault for fault in FAULTS if any(_strikes(fault, endpoint) for endpoint in ENDPOINTS.values())),
    "clearing_down",
    *(f"{fault} after" for fault in UNREADABLE_AFTER_EFFECT),
)
PACES = ("latency", "rate_limit")
"""These slow every request down and change none: reads meet them too."""
STEPS = CRASHES[1:]
CASES = [
    (kind, fault, STEPS[(number + shift) % len(STEPS)])
    for number, fault in enumerate(ALL_FAULTS)
    for shift, kind in enumerate(ENDPOINTS)
    if _strikes(fault, ENDPOINTS[kind])
    # A 503 in the words of the API refuses a submit: an exchange that says so has had no effect.
    and (kind, fault) != ("submit", "status_503 after")
]


class World:
    """One exchange and one store on the disk, opened and left as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock(AFTERNOON)

    def exchange(self) -> PaperExchange:
        async def endless(_seconds: float) -> None:
            await anyio.sleep_forever()

        begin_book(self.folder / "paper", "expiry", self.clock)
        return PaperExchange.open(self.folder / "paper", scenario="expiry", clock=self.clock, sleeper=endless)

    def store(self) -> SqlOperationStore:
        return store_in(self.folder / "operations.sqlite")

    def parts(self, exchange: PaperExchange, client: PositionsClient, store: Any, **more: Any) -> Dependencies:
        return replace(parts_of(exchange, client, store, self.clock), instruction_writer=client, **more)


async def approved(world: World, exchange: PaperExchange, client: PositionsClient, kind: str) -> str:
    """A batch of two, or a cancel, approved at the desk."""
    store = world.store()
    try:
        parts = world.parts(exchange, client, store)
        async with Guard(parts) as guard:
            if kind == "submit":
                rows = [
                    InstructionRow(instrument="AAPL261120C00220000", instruction_type="EXERCISE", quantity="2"),
                    InstructionRow(instrument="AMD261120C00185000", instruction_type="EXERCISE", quantity="1"),
                ]
                planned = await guard.plan(SubmitRequest(account_id=ACCOUNT, rows=tuple(rows)), caller=CALLER)
            else:
                listed = (await client.get_position_instructions(ACCOUNT)).data
                (wanted,) = (each.id for each in listed if each.instruction_id == "morning-2")
                planned = await guard.plan(CancelRequest(account_id=ACCOUNT, instruction_id=wanted), caller=CALLER)
            operation = await guard.ask(planned.operation)
        supervisor = Supervisor(parts, hardness=ScryptCost(n=2**4))
        await supervisor.set_up_approver(PASSPHRASE)
        await supervisor.approve(operation.operation_id, PASSPHRASE)
        return operation.operation_id
    finally:
        store.close()


async def sent_until_it_dies(
    world: World, exchange: PaperExchange, client: PositionsClient, operation_id: str, crash: str
) -> None:
    store = world.store()
    mortal = MortalStore(store)
    reaper = Reaper(Case("", "", crash), mortal)
    try:
        async with Guard(world.parts(exchange, client, mortal, checkpoint=reaper, sleep=no_pause)) as guard:
            await guard.send_approved(operation_id, caller=CALLER)
    except (Crash, BaseExceptionGroup):
        if not mortal.dead:
            raise
    except PositionsError:
        pass
    finally:
        store.close()


def contradictions(operation: Operation, effects: int) -> list[str]:
    """Where the journal and the exchange's own count do not agree."""
    found = []
    states = {row.state for row in operation.rows}
    if effects > 1:
        found.append(f"{effects} effects")
    if effects and states & {RowState.NOT_SENT, RowState.REJECTED}:
        found.append(f"an effect, and the journal says {states}")
    if not effects and states & {RowState.SENT, RowState.ACCEPTED, RowState.CANCEL_REQUESTED, RowState.CANCELLED}:
        found.append(f"no effect, and the journal says {states}")
    if RowState.SENDING in states:
        found.append("still SENDING after its process died")
    if effects and any(row.is_in_doubt for row in operation.rows):
        found.append("an effect that following did not find")
    return found


@pytest.mark.requirement("G-04", "G-05", "G-06", "P-05")
@pytest.mark.parametrize(("kind", "fault", "crash"), CASES)
async def test_no_fault_and_no_crash_repeats_a_batch_or_a_cancel_or_forgets_it(
    tmp_path: Path, kind: str, fault: str, crash: str
) -> None:
    world = World(tmp_path)
    exchange = world.exchange()
    try:
        async with client_of(exchange) as client:
            operation_id = await approved(world, exchange, client, kind)
            name, _, after = fault.partition(" ")
            if name != "none":
                exchange.arm(name, STANDING.get(name, ENDPOINTS[kind]), after_effect=bool(after))
            await sent_until_it_dies(world, exchange, client, operation_id, crash)
            exchange.disarm()
            before = exchange.effect_counts().get(ENDPOINTS[kind], 0)
            world.clock.at += LATER
            store = world.store()
            try:
                async with Guard(world.parts(exchange, client, store)) as guard:
                    with pytest.raises(PositionsError):
                        await guard.send_approved(operation_id, caller=CALLER)
                    await guard.operation(operation_id)
                operation = store.operation(operation_id)
                assert operation is not None
                assert contradictions(operation, before) == []
                assert exchange.effect_counts().get(ENDPOINTS[kind], 0) == before
                assert store.verify().intact
            finally:
                store.close()
    finally:
        exchange.close()


def test_every_fault_that_can_strike_an_instruction_is_in_the_matrix(tmp_path: Path) -> None:
    exchange = World(tmp_path).exchange()
    try:
        in_the_matrix = {name.partition(" ")[0] for name in ALL_FAULTS}
        for fault in set(FAULT_KINDS) - in_the_matrix - set(PACES):
            with pytest.raises(PaperError):
                exchange.arm(fault, "cancel_position_instruction")
    finally:
        exchange.close()

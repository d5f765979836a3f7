"""Runs one release of the official SDK against the paper exchange, in a process of its own; prints what it found.

`PYTHONPATH=<where the release is> python probe.py RELEASE CONTRACT FOLDER`
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import clearstreet
import httpx
from clearstreet import AsyncClearStreet

from positions_mcp.cli.assembly.paper_transport import paper_transport
from positions_mcp.paper import DEFAULT_KEY, PaperExchange
from positions_mcp.paper.dialects import NEW_KEY, OLD_KEY, ContractName
from positions_mcp.paper.fault_kinds import KINDS_FOR

ACCOUNT = 19816
CONTRACTS: tuple[ContractName, ...] = ("seed", "summer", "current", "auto")
WRITES = ("submit_position_instructions", "cancel_position_instruction", "close_position", "close_positions")
OPERATIONS = (*WRITES[:2], "get_positions", "get_position_instructions", "get_orders", "get_order", *WRITES[2:])
FAULTS = (
    "none", "refuse", "drop_before_effect", "drop_after_effect", "delay", "truncated_body", "non_json_body",
    "empty_204", "unknown_fields", "status_401", "status_403", "status_404", "status_408", "status_409", "status_422",
    "status_429", "status_500", "status_503", "delay_before_effect", "latency", "rate_limit", "repeated_row",
    "foreign_row", "contradicting_side", "stale_positions", "stale_orders", "unlisted_orders", "delisted_orders",
    "missing_order", "changed_quantity", "reject_order", "reject_order_later", "partial_fills", "ignored_key",
    "clearing_down", "changed_total",
)  # fmt: skip
CELLS = tuple(
    (operation, fault) for operation in OPERATIONS for fault in FAULTS if operation in KINDS_FOR.get(fault, OPERATIONS)
)
"""Every operation with every fault that can strike it."""
SHARED_BY = 4
"""So many releases name a caller's key alike, and share the cells of a contract that is not their own."""
BOOK = """
title = "More of everything than a matrix closes"
underlyings = [{ symbol = "AAPL", price = 230 }, { symbol = "MSFT", price = 430 }]
positions = [
  { symbol = "AAPL today 220 call", quantity = 100_000, average_price = 3 },
  { symbol = "MSFT", quantity = 10.5, average_price = 400 },
]
instructions = [{ symbol = "AAPL today 220 call", type = "exercise", quantity = 1, answered_after = "6h" }]
orders = [{ symbol = "MSFT", side = "sell", quantity = 1, limit = 900 }]
"""


class Clock:
    """A clock that stands in a session of November 2026 until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


async def no_pause(_: float) -> None:
    return


class Probe:
    """One release, speaking to one book in one contract."""

    def __init__(self, folder: Path, contract: ContractName, scenario: str, *, strict: bool) -> None:
        self.clock = Clock()
        self.exchange = PaperExchange.open(
            folder, scenario=scenario, contract=contract, clock=self.clock, sleeper=no_pause
        )
        http = httpx.AsyncClient(transport=paper_transport(self.exchange))
        options: dict[str, Any] = {"_strict_response_validation": strict, "http_client": http, "max_retries": 0}
        self.sdk = AsyncClearStreet(api_key=DEFAULT_KEY, base_url="http://paper", **options)
        self.key_name = OLD_KEY if _minor() < 8 else NEW_KEY
        self._keys = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sdk.close()
        self.exchange.close()

    async def call(self, operation: str, target: str = "") -> Any:
        """Calls an operation as a program of its time would; `target` is what it acts on."""
        positions, orders = self.sdk.v1.positions, self.sdk.v1.orders
        self._keys += 1
        row = {
            "instruction_type": "EXERCISE",
            "instrument_id": target,
            "quantity": "1",
            self.key_name: f"k{self._keys}",
        }
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "get_positions": lambda: positions.get_positions(ACCOUNT),
            "get_position_instructions": lambda: positions.get_position_instructions(ACCOUNT),
            "submit_position_instructions": lambda: positions.submit_position_instructions(ACCOUNT, instructions=[row]),
            "cancel_position_instruction": lambda: positions.cancel_position_instruction(target, account_id=ACCOUNT),
            "close_position": lambda: positions.close_position(target, account_id=ACCOUNT, cancel_orders=True),
            "close_positions": lambda: positions.close_positions(ACCOUNT, cancel_orders=True),
            "get_orders": lambda: orders.get_orders(ACCOUNT),
            "get_order": lambda: orders.get_order_by_id(target, account_id=ACCOUNT),
        }
        return await calls[operation]()

    def target_of(self, operation: str) -> str:
        """Something that the operation can act on now; an instruction to cancel is made for it."""
        with self.exchange.changing() as moment:
            ledger = moment.ledger
            option, share = ledger.instruments[_option(ledger)], ledger.instruments["MSFT"]
            if operation == "cancel_position_instruction":
                return next(i.id for i in ledger.instructions.values() if i.status == "SENT")
            if operation == "get_order":
                return next(iter(ledger.orders))
            return option.instrument_id if operation == "submit_position_instructions" else share.instrument_id


def _minor() -> int:
    return int(clearstreet.__version__.split(".")[1])


def _option(ledger: Any) -> str:
    return next(symbol for symbol, found in ledger.instruments.items() if found.contract)


def cells_of(release: str, own: str) -> list[tuple[ContractName, str, str]]:
    """Contract, operation and fault: all in the release's own contract, and of the others its share.

    What comes back differs by the contract and the name of the caller's key, which four releases have in common.
    """
    turn = int(release.split(".")[1]) % SHARED_BY
    return [
        (contract, operation, fault)
        for contract in CONTRACTS
        for number, (operation, fault) in enumerate(CELLS)
        if contract == own or number % SHARED_BY == turn
    ]


async def matrix(folder: Path, own: str) -> dict[str, list[Any]]:
    """Contract × operation × fault: what the release made of it, and how many effects there were."""
    book = folder / "matrix.toml"
    book.write_text(BOOK)
    found: dict[str, list[Any]] = {}
    cells = cells_of(clearstreet.__version__, own)
    for contract in CONTRACTS:
        async with Probe(folder / contract, contract, str(book), strict=False) as probe:
            for operation, fault in [each[1:] for each in cells if each[0] == contract]:
                found[f"{contract} {operation} {fault}"] = await _cell(probe, operation, fault)
    return found


async def _cell(probe: Probe, operation: str, fault: str) -> list[Any]:
    if operation == "cancel_position_instruction":
        await probe.sdk.post(
            f"/v1/accounts/{ACCOUNT}/positions/instructions",
            body=[{"instruction_type": "EXERCISE", "instrument_id": probe.target_of(WRITES[0]), "quantity": "1"}],
            cast_to=object,
        )
    target, before = probe.target_of(operation), probe.exchange.effect_counts().get(operation, 0)
    if fault != "none":
        probe.exchange.arm(fault, operation)
    try:
        await probe.call(operation, target)
        outcome = "answered"
    except clearstreet.APIError as error:
        outcome = type(error).__name__
    left = len(probe.exchange.faults())
    probe.exchange.disarm()
    return [outcome, probe.exchange.effect_counts().get(operation, 0) - before, left]


async def strictly(folder: Path, contract: ContractName) -> dict[str, int]:
    """Answers validated strictly, by operation, in every packaged scenario. Raises what the release raises."""
    seen: dict[str, int] = {}

    async def valid(probe: Probe, operation: str, target: str = "") -> Any:
        answer = await probe.call(operation, target)
        seen[operation] = seen.get(operation, 0) + 1
        return answer

    for scenario in ("demo", "rough", "expiry", "empty"):
        async with Probe(folder / f"strict-{scenario}", contract, scenario, strict=True) as probe:
            for _ in range(2):
                held = (await valid(probe, "get_positions")).data
                for option in [one for one in held if one.instrument_type == "OPTION"][:4]:
                    with suppress(clearstreet.BadRequestError):  # short, or past its deadline
                        await valid(probe, "submit_position_instructions", option.instrument_id)
                for row in (await valid(probe, "get_position_instructions")).data:
                    if row.status == "SENT":
                        await valid(probe, "cancel_position_instruction", row.id)
                        break
                for one in held[:2]:
                    await valid(probe, "close_position", one.instrument_id)
                    probe.clock.at += timedelta(seconds=1)
                await valid(probe, "close_positions")
                for order in (await valid(probe, "get_orders")).data[:3]:
                    await valid(probe, "get_order", order.id)
                await valid(probe, "get_position_instructions")
                probe.clock.at += timedelta(hours=9)
    return seen


async def main() -> None:
    release, contract, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    assert clearstreet.__version__ == release, clearstreet.__version__
    report = {"strict": await strictly(folder, contract), "matrix": await matrix(folder, contract)}  # type: ignore[arg-type]
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())

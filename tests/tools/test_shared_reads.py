"""Who looks at an account within a second of another shares its reading; what a person decides on is read fresh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer

from positions_mcp.domain.account.positions import Book, Holding, Whole
from positions_mcp.domain.errors import Forbidden, NotFound, PositionsError, RateLimited, ReadFailed
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.ports import Gathering, OnPage
from positions_mcp.server import build_server
from positions_mcp.tools._shared_reads import SharedPositions, SharedReader, SharedReads, Times, UnsharedReader
from positions_mcp.tools.context import ToolContext
from tools.serving import ACCOUNT, FRIDAY, StubBroker, context_over, data_of, held, words_of

OTHER = AccountId(19817)
BRIEFLY = timedelta(milliseconds=999)


@dataclass(slots=True)
class Gated(StubBroker):
    """Answers page after page, each when it is let through."""

    pages: Sequence[Sequence[Any]] = ((),)
    gate: anyio.Event = field(default_factory=anyio.Event)
    asked: anyio.Event = field(default_factory=anyio.Event)
    given_up: anyio.Event = field(default_factory=anyio.Event)
    after: int = 0
    """Pages that come before it is held."""
    failure: Exception | None = None
    """What it fails with once it is let through."""

    async def gather_positions(
        self, account_id: AccountId, begin: Callable[[], Any], *, on_page: OnPage | None = None
    ) -> tuple[Any, Any]:
        self._ask()
        gathering, read = begin(), 0
        reading = Book(account_id=account_id, positions=(), as_of=self.clock.now())
        for number, page in enumerate(self.pages):
            if number == self.after:
                self.asked.set()
                try:
                    await self.gate.wait()
                except anyio.get_cancelled_exc_class():
                    self.given_up.set()
                    raise
                if self.failure:
                    raise self.failure
            gathering.add(page)
            read += len(page)
            if on_page:
                await on_page(read, None)
        return gathering, reading


@dataclass(frozen=True)
class Counting:
    """Begins a gathering that counts; equal ones are the same."""

    what: str = "rows"

    def __call__(self) -> Counted:
        return Counted()


@dataclass
class Counted:
    rows: int = 0

    def add(self, positions: Sequence[Holding]) -> None:
        self.rows += len(positions)


def times_of(broker: StubBroker) -> Times:
    """The broker's clock, and a machine on which no time passes."""

    async def ever(_: float) -> None:
        await anyio.sleep_forever()

    return Times(broker.clock, monotonic=lambda: 0.0, sleep=ever)


@asynccontextmanager
async def shared(broker: StubBroker) -> AsyncIterator[SharedPositions]:
    async with SharedReads(times_of(broker)) as reads:
        yield SharedPositions(broker, reads)


async def names_in(positions: SharedPositions, account: AccountId = ACCOUNT) -> list[str]:
    found, _ = await positions.gather_positions(account, Whole[Holding])
    return [each.symbol for each in found]


def server_sharing(broker: StubBroker) -> MCPServer[ToolContext]:
    """A server whose readings are shared as `serve` shares them."""

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        async with SharedReads(times_of(broker)) as reads:
            reader: Any = SharedReader(broker, reads)
            yield replace(
                context_over(broker), positions=SharedPositions(broker, reads), instructions=reader, orders=reader
            )

    return build_server(parts, mode=Mode.PAPER, accounts=(ACCOUNT,))


@pytest.mark.parametrize("tools", [["summarize_positions"] * 100, ["summarize_positions", "list_positions"] * 10])
async def test_a_hundred_callers_at_once_are_answered_by_one_reading(tools: list[str], era: str) -> None:
    broker = Gated(pages=[[held("AAPL")]])
    answers = []
    async with Client(server_sharing(broker), mode=era) as client, anyio.create_task_group() as callers:

        async def ask(tool: str) -> None:
            answers.append(data_of(await client.call_tool(tool, {})))

        for tool in tools:
            callers.start_soon(ask, tool)
        await broker.asked.wait()
        broker.gate.set()
    assert len(answers) == len(tools)
    assert broker.requests == 1
    assert all("AAPL" in str(answer) for answer in answers)


@pytest.mark.parametrize(
    ("later", "readings"),
    [(timedelta(0), 1), (BRIEFLY, 1), (timedelta(seconds=1), 2), (timedelta(days=1), 2), (timedelta(seconds=-1), 2)],
)
async def test_a_reading_is_shared_for_a_second_from_its_beginning_by_the_clock_that_is_told(
    later: timedelta, readings: int
) -> None:
    broker = StubBroker(positions=[held("AAPL")])
    async with shared(broker) as positions:
        await names_in(positions)
        broker.clock.advance(later)
        broker.positions = [held("MSFT")]
        _, reading = await positions.gather_positions(ACCOUNT, Whole[Holding])
        assert broker.requests == readings
        assert reading.as_of == FRIDAY + (later if readings == 2 else timedelta(0))


async def test_who_asks_otherwise_of_a_shared_reading_gets_own_rows(era: str) -> None:
    rows = [held(f"S{number}", "100", number, instrument_price=f"{number}.50") for number in range(1, 9)]
    positions = [*rows, held("SHORT", "-5", 9, position_type="SHORT", instrument_price="2.25")]
    questions: list[dict[str, Any]] = [
        {},
        {"limit": 3},
        {"limit": 4},
        {"side": "short"},
        {"side": "long"},
        {"instruments": ["S1", "S2"]},
        {"instruments": ["S2"]},
        {"sort_by": "SYMBOL"},
        {"sort_by": "SYMBOL", "sort_direction": "DESC"},
        {"ids": True},
        {"locked": False},
        {"locked": True},
        {"detail": "full"},
        {"account_id": ACCOUNT},
    ]

    async def answers(client: Client, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        found = [data_of(await client.call_tool("list_positions", question)) for question in asked]
        return [{name: value for name, value in each.items() if name != "next_cursor"} for each in found]

    alone = []
    for question in questions:
        async with Client(server_sharing(StubBroker(positions=positions)), mode=era) as client:
            alone += await answers(client, [question])
    broker = StubBroker(positions=positions)
    async with Client(server_sharing(broker), mode=era) as client:
        assert await answers(client, questions) == alone
        assert await answers(client, questions[::-1]) == alone[::-1]
        broker.clock.advance(timedelta(seconds=1))
        broker.positions = positions[:2]
        assert [each["held"] for each in await answers(client, [{}, {"limit": 1}])] == [2, 2]


async def test_pages_of_callers_who_share_rows_are_their_own(era: str) -> None:
    rows = [held(f"S{number}", "100", number, instrument_price="1.50") for number in range(6)]
    async with Client(server_sharing(StubBroker(positions=rows)), mode=era) as client:
        first, second = [data_of(await client.call_tool("list_positions", {"limit": 2})) for _ in range(2)]
        assert first["next_cursor"] != second["next_cursor"]
        for page in (first, second):
            after = data_of(await client.call_tool("list_positions", {"cursor": page["next_cursor"], "limit": 4}))
            assert [row[0] for row in (*page["rows"], *after["rows"])] == [f"S{number}" for number in range(6)]


async def test_a_second_of_the_machine_ends_it_too_and_gives_it_back() -> None:
    broker, seconds, over = StubBroker(positions=[held("AAPL")]), [0.0], anyio.Event()

    async def sleep(_: float) -> None:
        await over.wait()

    async with SharedReads(Times(broker.clock, monotonic=lambda: seconds[0], sleep=sleep)) as reads:
        positions = SharedPositions(broker, reads)
        for seconds[0], readings in ((0.0, 1), (0.99, 1), (1.0, 2), (1.5, 2)):
            await names_in(positions)
            assert broker.requests == readings
        over.set()
        await anyio.wait_all_tasks_blocked()
        await names_in(positions)
        assert broker.requests == 3


async def test_accounts_are_read_apart() -> None:
    broker = StubBroker(positions=[held("AAPL")])
    async with shared(broker) as positions:
        await names_in(positions)
        await names_in(positions, OTHER)
        assert broker.requests == 2


async def test_other_instruments_of_a_book_are_another_reading() -> None:
    broker = StubBroker(positions=[held("AAPL")])
    async with shared(broker) as positions:
        for _ in range(2):
            await positions.read_book(ACCOUNT)
            await positions.read_book(ACCOUNT, instrument_ids=[held("AAPL").instrument_id])
        assert broker.requests == 2


async def test_who_leaves_leaves_the_reading_to_the_others_and_the_last_ends_it() -> None:
    broker = Gated(pages=[[held("AAPL")]])
    found: list[list[str]] = []
    async with shared(broker) as positions, anyio.create_task_group() as callers:

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                found.append(await names_in(positions))

        first, second, third = (anyio.CancelScope() for _ in range(3))
        callers.start_soon(ask, first)
        callers.start_soon(ask, second)
        await broker.asked.wait()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not broker.given_up.is_set()
        second.cancel()
        with anyio.fail_after(30):
            await broker.given_up.wait()
        broker.gate.set()
        callers.start_soon(ask, third)
    assert found == [["AAPL"]]
    assert broker.requests == 2


async def test_an_error_is_told_to_all_who_wait_each_as_an_error_of_its_own_and_is_not_kept() -> None:
    failure = RateLimited("Too many.", request_id="r-1", hint="Wait.")
    broker = Gated(pages=[[held("AAPL")]], failure=failure)
    errors: list[RateLimited] = []
    async with shared(broker) as positions:
        async with anyio.create_task_group() as callers:

            async def ask() -> None:
                with pytest.raises(RateLimited) as caught:
                    await names_in(positions)
                errors.append(caught.value)

            for _ in range(3):
                callers.start_soon(ask)
            await broker.asked.wait()
            broker.gate.set()
        assert len({id(error) for error in errors}) == 3
        assert {(str(error), error.request_id, error.sent) for error in errors} == {
            (str(failure), failure.request_id, failure.sent)
        }
        broker.failure = None
        assert await names_in(positions) == ["AAPL"]


@pytest.mark.parametrize("refusal", [NotFound("No balances here."), Forbidden("Not of this account.")])
async def test_a_lasting_refusal_is_shared_for_its_second_as_an_answer_is(refusal: PositionsError) -> None:
    broker = StubBroker(error=refusal)
    async with shared(broker) as positions:
        for passed, asked in ((timedelta(0), 1), (BRIEFLY, 1), (timedelta(milliseconds=1), 2)):
            broker.clock.advance(passed)
            with pytest.raises(type(refusal), match=str(refusal)):
                await names_in(positions)
            assert broker.requests == asked


async def test_what_the_guard_reads_or_sends_is_fresh_and_ends_what_was_shared() -> None:
    broker = StubBroker(positions=[held("AAPL")])
    async with SharedReads(times_of(broker)) as reads:
        positions, guards = SharedPositions(broker, reads), UnsharedReader(broker, reads)
        await names_in(positions)
        await names_in(positions, OTHER)
        broker.positions = [held("MSFT")]
        assert [each.symbol for each in (await guards.read_book(ACCOUNT)).positions] == ["MSFT"]
        assert await names_in(positions) == ["MSFT"]
        assert await names_in(positions, OTHER) == ["AAPL"]
        assert broker.requests == 4


async def test_a_write_of_unknown_outcome_ends_what_was_shared() -> None:
    broker = StubBroker(positions=[held("AAPL")])
    async with SharedReads(times_of(broker)) as reads:
        positions, guards = SharedPositions(broker, reads), UnsharedReader(broker, reads)
        await names_in(positions)
        broker.error = ReadFailed("No answer.")
        with pytest.raises(ReadFailed):
            await guards.get_position_instructions(ACCOUNT)
        broker.error, broker.positions = None, []
        assert await names_in(positions) == []


async def test_who_comes_late_hears_of_every_page_and_has_them_all() -> None:
    broker = Gated(pages=[[held("AAPL")], [held("MSFT")]], after=1)
    heard: list[int] = []
    counted: list[Gathering] = []

    async def tell(read: int, _: int | None) -> None:
        heard.append(read)

    async with shared(broker) as positions, anyio.create_task_group() as callers:

        async def count(begin: Counting, on_page: OnPage | None) -> None:
            found, _ = await positions.gather_positions(ACCOUNT, begin, on_page=on_page)
            counted.append(found)

        callers.start_soon(count, Counting("first"), None)
        await broker.asked.wait()
        callers.start_soon(count, Counting("late"), tell)
        await anyio.wait_all_tasks_blocked()
        broker.gate.set()
    assert heard == [1, 2]
    assert counted == [Counted(2), Counted(2)]
    assert broker.requests == 1


async def test_instructions_that_were_read_before_are_told_as_of_then(era: str) -> None:
    broker = StubBroker()
    async with Client(server_sharing(broker), mode=era) as client:
        broker.clock.advance(timedelta(milliseconds=600))
        await client.call_tool("list_instructions", {})
        broker.clock.advance(timedelta(milliseconds=600))
        answer = await client.call_tool("list_instructions", {})
    assert broker.requests == 1
    assert "10:30:00" in words_of(answer)

"""`get_operation`, `list_operations` and the write half of `get_trading_status` through an MCP client."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.guard.guard import Guard
from tools.serving import data_of, error_of, text_of
from trading import trading_floor, yes


async def test_the_status_says_limits_use_channels_and_what_is_in_the_air(era: str, tmp_path: Path) -> None:
    limits = {"max_notional": "50000", "max_daily_notional": "90000", "max_positions": 5}
    async with trading_floor(tmp_path, trading=limits) as floor, floor.client(era, yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        answer = await client.call_tool("get_trading_status", {})
        status = data_of(answer)
        assert status["used_today"] == {"19816": "27228.00"}
        assert status["following"] == [sent["operation_id"]]
        assert (status["limits"]["per_operation"], status["limits"]["per_day"]) == ("50000", "90000")
        assert status["approval"].startswith("a form in this client; else the supervisor's page")
        assert "positions-mcp approver init" in status["approval"]
        assert status["store"] == "writable"
        for said in ("Used today: 19816 27228.00.", sent["operation_id"], "per_operation 50000", "positions 5"):
            assert said in text_of(answer)
        async with floor.desk() as desk:
            await desk.set_up()
        assert "(approver set)" in data_of(await client.call_tool("get_trading_status", {}))["approval"]


@pytest.mark.requirement("G-15")
async def test_a_live_server_is_read_only_and_says_how_a_person_changes_that(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, mode=Mode.LIVE) as floor:
        status = data_of(await floor.call("get_trading_status", {}, era=era))
        assert status["trading"] == "read-only; a person can set trading.enabled in the configuration"
        assert status["limits"]["desk_above"] == "0"
        assert status["approval"].startswith("this client cannot show a form; the supervisor's page")


@pytest.mark.requirement("G-04")
@pytest.mark.one_process("spoils the file of its store, and replicas have a database")
async def test_where_the_store_cannot_be_opened_reading_works_and_writing_refuses(era: str, tmp_path: Path) -> None:
    (tmp_path / "operations.sqlite").mkdir()
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        assert data_of(await client.call_tool("list_positions", {}))["held"] == 25
        status = data_of(await client.call_tool("get_trading_status", {}))
        assert status["trading"] == "read-only; the operation store cannot be used"
        assert "cannot be" in status["store"]
        for tool in ("preview_close", "close_positions"):
            message = error_of(await client.call_tool(tool, {"instruments": ["KO"]}))
            assert "operation store" in message
            assert "othing was sent" in message
        assert floor.effects == {}


@pytest.mark.requirement("G-04")
async def test_a_store_of_a_newer_program_is_read_and_not_written(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        planned = data_of(await floor.call("preview_close", {"instruments": ["KO"]}, era=era))
        async with floor.desk() as desk:
            with desk.store._writing() as transaction:
                from sqlalchemy import text

                transaction.connection.execute(text("UPDATE meta SET value = '999' WHERE key = 'schema_version'"))
    async with trading_floor(tmp_path) as floor:
        listed = data_of(await floor.call("list_operations", {}, era=era))
        assert listed["rows"][0][0] == planned["plan_id"]
        message = error_of(await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=yes()))
        assert "cannot be written" in message
        assert floor.effects == {}


async def test_operations_are_listed_newest_first_by_account_and_state(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        for symbol in ("KO", "XOM", "JPM"):
            await client.call_tool("preview_close", {"instruments": [symbol]})
            floor.later(seconds=1)
        await client.call_tool("close_positions", {"instruments": ["XOM"]})
        listed = data_of(await client.call_tool("list_operations", {"limit": 2}))
        assert [(row[6], row[4], row[5]) for row in listed["rows"]] == [
            ("JPM", "PLANNED", "no"),
            ("XOM", "SUBMITTED", "yes"),
        ]
        assert listed["more"] is True
        planned = data_of(await client.call_tool("list_operations", {"state": "PLANNED", "account_id": 19816}))
        assert [row[6] for row in planned["rows"]] == ["JPM", "KO"]
        assert "not configured" in error_of(await client.call_tool("list_operations", {"account_id": 20000}))


async def test_an_operation_is_followed_for_as_long_as_asked_with_progress(era: str, tmp_path: Path) -> None:
    told: list[float] = []

    async def progress(waited: float, total: float | None, message: str | None) -> None:
        told.append(waited)
        floor.later(minutes=1)

    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        followed = await client.call_tool(
            "get_operation", {"operation_id": sent["operation_id"], "wait_s": 45}, progress_callback=progress
        )
        assert data_of(followed)["state"] == "CLOSED"
    assert told


async def test_next_of_an_open_close_says_what_cancel_orders_would_do_and_of_a_finished_one_does_not(
    era: str, tmp_path: Path
) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        assert "a new close of the same with cancel_orders=true cancels it first" in sent["next"]
        floor.later(minutes=1)
        closed = data_of(await client.call_tool("get_operation", {"operation_id": sent["operation_id"]}))
        assert (closed["state"], "cancel_orders" in closed["next"]) == ("CLOSED", False)


@pytest.mark.requirement("G-14")
async def test_an_account_that_cannot_be_read_is_said_and_nothing_is_concluded(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        floor.later(minutes=1)
        floor.exchange.arm("status_403", "get_positions", times=9)
        followed = await client.call_tool("get_operation", {"operation_id": sent["operation_id"]})
        assert data_of(followed)["state"] == "SUBMITTED"
        assert "WARNING: The account could not be read now" in text_of(followed)


async def test_an_operation_that_does_not_exist_is_an_error_with_a_next_step(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        message = error_of(await floor.call("get_operation", {"operation_id": "op-\u202enothing"}, era=era))
        assert 'There is no paper operation "op-nothing"' in message
        assert "list_operations" in message


async def test_three_plans_that_wait_are_told_apart_by_symbols_and_notional(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era) as client:
        for names in (["KO"], ["XOM"], ["KO", "XOM"]):
            await client.call_tool("preview_close", {"instruments": names})
        listed = data_of(await client.call_tool("list_operations", {}))
    rows = [dict(zip(listed["columns"], row, strict=True)) for row in listed["rows"]]
    notional = {row["symbols"]: Decimal(row["notional"]) for row in rows}
    assert notional["KO XOM"] == notional["KO"] + notional["XOM"]
    assert min(notional.values()) > 0


@pytest.mark.one_process("makes a second guard of what the first one has")
async def test_an_operation_of_an_account_that_may_not_be_used_is_as_one_that_is_not(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        plan = data_of(await floor.call("preview_close", {"instruments": ["KO"]}))["plan_id"]
        deps = floor.deps.guard._deps
        policy = deps.policy.model_copy(update={"accounts": frozenset({AccountId(20000)})})
        other = Guard(replace(deps, policy=policy))
        assert await other.operations() == ((), False)
        assert not await other.changes.may_see(plan, None)
        for ask in (other.operation, partial(other.continue_plan, caller="anybody")):
            said = []
            for name in (plan, "op-0000000000"):
                with pytest.raises(PositionsError, match="There is no paper operation") as caught:
                    await ask(name)
                said.append((type(caught.value), str(caught.value).replace(name, "it")))
            assert said[0] == said[1]

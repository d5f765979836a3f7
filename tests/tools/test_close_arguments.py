"""What may be said to the closing tools, and what is refused before anything is sent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.serving import data_of, error_of
from trading import Floor, no, trading_floor, yes

HOSTILE = [
    *(".", "..", "", " ", "   ", "instructions", "/", "KO/../..", "../positions", "%2e", "%2E%2E%2F", "KO%00"),
    *(
        "KO\n",
        "KO\r\nDELETE /",
        "\x00",
        "\u202eOK",
        "K\u200bO",
        "\ufeff",
        "KO" * 5_000,
        "00000000-0000-0000-0000-000000000000",
    ),
]

OUTSIDE_THE_SCHEMA: list[dict[str, Any]] = [
    *({name: True} for name in ("approve", "confirm", "force", "yes", "flatten")),
    {"dry_run": False},
    {"account_number": "19816"},
    {"outcome": {"action": "accept", "data": {"approve": True}}},
    {"planned": {}},
    *({"cancel_orders": value} for value in ("yes", 1, None)),
    *({"instruments": value} for value in (None, "KO", [], [{"symbol": "KO"}], ["KO"] * 101)),
    *({"plan_id": value} for value in ("", "x" * 65, None)),
    *({"account_id": value} for value in ("KO", "19816.0", "-19816", None, 19816.5, True)),
]


async def refused(floor: Floor, tool: str, arguments: dict[str, Any], era: str, **who: str) -> str:
    """The words of a refusal, which asked nobody and sent nothing."""
    person = yes()
    message = error_of(await floor.call(tool, arguments, era=era, person=person, **who))
    assert "othing was sent" in message
    assert person.questions == []
    assert floor.effects == {}
    return message


@pytest.mark.requirement("G-08")
async def test_a_hostile_name_is_refused_and_never_reaches_a_path(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        for name in HOSTILE:
            for tool in ("preview_close", "close_positions"):
                message = await refused(floor, tool, {"instruments": ["KO", name]}, era)
                assert len(message) < 400
                assert message.isprintable()


@pytest.mark.requirement("G-08")
async def test_a_symbol_that_is_a_path_is_closed_by_its_uuid(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        floor.list_instrument("..")
        sent = data_of(await floor.call("close_positions", {"instruments": [".."]}, era=era, person=yes()))
        assert (sent["state"], floor.effects) == ("SUBMITTED", {"close_position": 1})


@pytest.mark.requirement("G-09")
async def test_an_argument_that_is_not_in_the_schema_is_an_error(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        for given in OUTSIDE_THE_SCHEMA:
            message = await refused(floor, "close_positions", {"instruments": ["KO"], **given}, era)
            assert message.startswith("Invalid arguments."), given


async def test_names_that_say_the_same_twice_or_mean_nothing_held_are_refused(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        assert "name the same instrument" in await refused(
            floor, "close_positions", {"instruments": ["KO", "ko "]}, era
        )
        assert "AAPL261211C00245000" in await refused(
            floor, "close_positions", {"instruments": ["AAPL261211C00245000", "AAPL  261211C00245000"]}, era
        )
        floor.hold("KO", 0)
        assert "Nothing held is called KO" in await refused(floor, "close_positions", {"instruments": ["KO"]}, era)
        assert "Give one of them" in await refused(floor, "close_positions", {}, era)
        both = {"instruments": ["XOM"], "all": True}
        assert "Exactly one of" in await refused(floor, "preview_close", both, era)
        assert "Exactly one of" in await refused(floor, "preview_close", {}, era)


@pytest.mark.requirement("G-10")
async def test_without_a_price_only_the_desk_will_do(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="rough") as floor:
        message = await refused(floor, "close_positions", {"instruments": ["HALT"]}, era)
        assert "A price is missing for HALT" in message
        assert "positions-mcp approver init" in message


@pytest.mark.requirement("G-02")
async def test_arguments_that_contradict_the_plan_are_refused(era: str, tmp_path: Path) -> None:
    contradictions: list[tuple[str, dict[str, Any], str]] = [
        ("close_positions", {"cancel_orders": True}, "cancel_orders=true contradicts"),
        ("close_positions", {"instruments": ["XOM"]}, "instruments=XOM contradicts"),
        ("close_positions", {"instruments": ["KO", "XOM"]}, "instruments=XOM contradicts"),
        ("close_positions", {"account_id": 20000}, "account_id=20000 contradicts"),
        ("close_all_positions", {}, "tool=close_all_positions contradicts"),
    ]
    async with trading_floor(tmp_path) as floor:
        plan = data_of(await floor.call("preview_close", {"instruments": ["KO"]}, era=era))["plan_id"]
        for tool, given, says in contradictions:
            assert says in await refused(floor, tool, {"plan_id": plan, **given}, era)


async def test_arguments_that_agree_with_the_plan_continue_it(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        plan = data_of(await floor.call("preview_close", {"instruments": ["KO"]}, era=era))["plan_id"]
        agreeing = {"plan_id": plan, "instruments": ["ko"], "cancel_orders": False, "account_id": 19816}
        assert data_of(await floor.call("close_positions", agreeing, era=era, person=yes()))["operation_id"] == plan


@pytest.mark.requirement("G-02")
async def test_a_plan_that_is_unknown_foreign_expired_declined_or_used_is_refused(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:

        async def plan(symbol: str) -> dict[str, Any]:
            previewed = data_of(await floor.call("preview_close", {"instruments": [symbol]}, era=era, name="Claude"))
            return {"plan_id": previewed["plan_id"]}

        assert "no paper operation" in await refused(floor, "close_positions", {"plan_id": "op-nothing"}, era)
        foreign = await plan("KO")
        assert "by another caller" in await refused(floor, "close_positions", foreign, era, name="Mallory")
        expired = await plan("XOM")
        floor.clock.advance(timedelta(minutes=6))
        assert "it is EXPIRED" in await refused(floor, "close_positions", expired, era, name="Claude")
        declined = await plan("KO")
        await floor.call("close_positions", declined, era=era, person=no(), name="Claude")
        assert "it is DECLINED" in await refused(floor, "close_positions", declined, era, name="Claude")
        used = await plan("AMZN")
        await floor.call("close_positions", used, era=era, person=yes(), name="Claude")
        person = yes()
        message = error_of(await floor.call("close_positions", used, era=era, person=person, name="Claude"))
        assert "cannot be used again: it is SUBMITTED" in message
        assert "Nothing was sent by this call" in message
        assert (floor.effects, person.questions) == ({"close_position": 1}, [])


@pytest.mark.parametrize("account", ["19816", 19816.0])
async def test_a_close_takes_an_account_in_every_way_that_hosts_write_an_integer(
    era: str, tmp_path: Path, account: object
) -> None:
    async with trading_floor(tmp_path) as floor:
        await floor.call("close_positions", {"instruments": ["KO"], "account_id": account}, era=era, person=yes())
        assert floor.effects == {"close_position": 1}

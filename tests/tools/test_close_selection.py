"""`preview_close` by what is meant instead of by names: the list is explicit, and it is what the plan freezes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.serving import StubBroker, call, data_of, error_of, held, server_over, text_of
from trading import trading_floor, yes

AAPL_OPTIONS = {"AAPL261120C00225000", "AAPL261120C00250000", "AAPL261211C00245000"}


@pytest.mark.parametrize(
    ("given", "symbols", "words"),
    [
        ({"underlying": "aapl"}, {"AAPL", *AAPL_OPTIONS}, "underlying aapl"),
        (
            {"underlying": "AAPL", "instrument_type": "OPTION"},
            AAPL_OPTIONS,
            "underlying AAPL, instrument_type OPTION",
        ),
        ({"underlying": "AAPL", "except": ["AAPL"]}, AAPL_OPTIONS, "underlying AAPL, except AAPL"),
        (
            {"underlying": "AAPL", "except": ["aapl 261211 C 00245000"]},
            {"AAPL", "AAPL261120C00225000", "AAPL261120C00250000"},
            None,
        ),
        ({"side": "short", "instrument_type": "COMMON_STOCK"}, {"TSLA", "PLTR", "GME"}, None),
        (
            {"side": "short", "instrument_type": "COMMON_STOCK", "except": ["GME", "PLTR"]},
            {"TSLA"},
            "instrument_type COMMON_STOCK, side short, except GME PLTR",
        ),
        (
            {"side": "short", "except": ["TSLA", "SPY", "NVDA"]},
            {"PLTR", "GME", "AAPL261211C00245000"},
            "side short, except TSLA SPY NVDA",
        ),
        ({"instruments": ["KO", "TSLA"], "side": "long"}, {"KO"}, "instruments KO TSLA, side long"),
    ],
)
async def test_a_filter_freezes_the_instruments_it_means_and_says_which(
    era: str, tmp_path: Path, given: dict[str, Any], symbols: set[str], words: str | None
) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes(), "Claude") as client:
        answer = await client.call_tool("preview_close", {"cancel_orders": True, **given})
    data = data_of(answer)
    assert {row[2] for row in data["rows"]} == symbols
    if words:
        assert data["filter"] == words
        assert f"Chosen by {words}; frozen as these, whatever changes:" in text_of(answer)


async def test_everything_except_something_is_a_list_and_leaves_out_its_options_too(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes(), "Claude") as client:
        given = {"all": True, "except": ["NVDA", "SPY", "MSFT"], "cancel_orders": True}
        data = data_of(await client.call_tool("preview_close", given))
        names = [row[2] for row in data["rows"]]
        assert len(names) == 18
        assert not [name for name in names if name.startswith(("NVDA", "SPY", "MSFT"))]
        assert data["next"].startswith("close_positions with plan_id=")


async def test_what_the_plan_froze_stays_what_it_is_when_more_would_be_meant(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor, floor.client(era, person, "Claude") as client:
        planned = data_of(await client.call_tool("preview_close", {"underlying": "KO"}))
        again = data_of(await client.call_tool("preview_close", {"instruments": ["KO"]}))
        assert again["plan_id"] == planned["plan_id"]
        await client.call_tool("close_positions", {"plan_id": planned["plan_id"]})
        assert floor.effects == {"close_position": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"underlying": "KO", "except": ["KO"]}, "Nothing that can be closed is meant by underlying KO, except KO"),
        ({"underlying": "KO", "side": "short"}, "Nothing that can be closed is meant by underlying KO, side short"),
        ({"underlying": "KOO"}, "Nothing held is on the underlying KOO"),
        ({"side": "long", "except": ["APPL"]}, "Nothing held is on the underlying APPL"),
        ({"except": ["KO"]}, "Exactly one of"),
        ({"all": False, "except": ["KO"]}, "Exactly one of"),
        ({"all": True, "instruments": ["KO"], "side": "long"}, "Exactly one of"),
        ({"side": "flat"}, "one of long, short"),
        ({"excepted": ["KO"], "side": "long"}, "excepted is not an argument"),
        ({"except": [], "side": "long"}, "a list of 1 to 100 texts"),
        ({"instrument_type": "CASH"}, "one of COMMON_STOCK, PREFERRED_STOCK, OPTION, OTHER"),
    ],
)
async def test_what_means_nothing_or_is_not_clear_is_no_plan(
    era: str, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes(), "Claude") as client:
        message = error_of(await client.call_tool("preview_close", given))
        assert said in message
        assert data_of(await client.call_tool("list_operations", {}))["rows"] == []


async def test_more_than_one_plan_takes_is_no_plan(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="large") as floor, floor.client(era, yes(), "Claude") as client:
        message = error_of(await client.call_tool("preview_close", {"side": "long"}))
    assert "are meant, and one plan takes 100: no plan was made" in message


async def test_instruments_of_one_name_are_told_apart_by_their_ids_wherever_a_plan_names_them(era: str) -> None:
    stock = [held("AAPL", str(number), number, market_value="9", instrument_price="9") for number in (1, 2)]
    server = server_over(StubBroker(positions=[*stock, held("KO", number=3)]))
    names = [f"AAPL [{each.instrument_id}]" for each in stock]
    everything = data_of(await call(server, "preview_close", {"all": True}, era=era))
    assert [row[2] for row in everything["rows"]] == [*names, "KO"]
    one = await call(server, "preview_close", {"instruments": [names[1]]}, era=era)
    assert [row[2] for row in data_of(one)["rows"]] == names[1:]
    chosen = await call(server, "preview_close", {"underlying": "AAPL"}, era=era)
    assert [row[2] for row in data_of(chosen)["rows"]] == names


@pytest.mark.parametrize("has_approver", [True, False])
async def test_the_way_on_of_a_preview_says_once_why_the_supervisor_decides(
    tmp_path: Path, *, has_approver: bool
) -> None:
    async with trading_floor(tmp_path, approval={"wait_s": 0, "desk_above": 10}) as floor:
        if has_approver:
            async with floor.desk() as desk:
                await desk.set_up()
        said = text_of(await floor.call("preview_close", {"instruments": ["KO"]}))
    way = said.partition("Next: ")[2]
    assert said.count("the supervisor decides") == 1, said
    if has_approver:
        assert way.startswith("close_positions with plan_id=op-")
        assert " waits for the supervisor. The question cannot be shown to a person in this client. To decide, " in way
    else:
        assert way.startswith("It cannot be sent now. The question cannot be shown to a person in this client. No app")


async def test_a_preview_tells_a_missing_price_from_an_option_whose_contract_is_not_known(tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="rough") as floor:
        said = text_of(await floor.call("preview_close", {"all": True}))
    (unpriced,) = [each for each in said.split("\n") if "A price is missing" in each]
    (unsized,) = [each for each in said.split("\n") if "What is delivered by" in each]
    assert "A price is missing for HALT, so the value" in unpriced
    assert "-" in unsized.partition("delivered by ")[2].partition(" ")[0]

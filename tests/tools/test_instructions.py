"""Previewing instructions: every bad row is caught with its reason, every good one shows its consequence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.expiry_day import AAPL, AMD, NVDA, TSLA, afternoon, batch, cell, row
from tools.serving import StubBroker, call, data_of, error_of, held, server_over, text_of
from trading import yes


@pytest.mark.requirement("I-04", "T-02")
async def test_a_preview_shows_each_rows_consequence_and_what_it_could_not_know(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        rows = batch(row("AAPL 261120C00220000", quantity="5"), row(NVDA, "EXERCISE", "3"), row(AMD, "DO_NOT_EXERCISE"))
        answer = await client.call_tool("preview_instructions", rows)
        first, second, third = data_of(answer)["consequences"]
        assert "strike 220, multiplier 100): pays 110,000.00, receives 500 shares." in first
        assert "AAPL: latest 230.43 (last trade, 2026-11-20 14:30 New York); the close of 2026-11-20 at 16:00" in first
        assert "receives 52,500.00, delivers 300 shares." in second
        assert "out of the money." in third
        projection = data_of(answer)["projection"]
        assert (
            "Tonight, AAPL: 220C 5 exercised by this batch; shares 100 → 600, cash -110,000, as if nothing is sent."
            in projection
        )
        assert any("175P 4 (3 exercised by this batch, 1 lapse); shares 0 → -300" in each for each in projection)
        assert "On MSFT, TSLA it goes as if nothing is sent." in projection
        assert projection[-1].startswith("Not known: the close, which decides")
        assert all(each in text_of(answer) for each in (first, second, third, *projection))
        assert data_of(answer)["notional"] == "162500"
        assert "instructions are taken until Fri 2026-11-20 17:30 New York" in text_of(answer)
        assert floor.effects == {}


@pytest.mark.requirement("I-04", "I-06")
async def test_what_neighbours_refuse_is_named_and_stops_nothing(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        for operation in ("get_snapshots", "get_option_contracts", "get_balances"):
            floor.exchange.arm("status_403", operation, times=9)
        answer = await client.call_tool("preview_instructions", batch(row(AAPL, quantity="2")))
    assert data_of(answer)["plan_id"]
    assert "AAPL: latest 230.43 (the position's, read 2026-11-20 14:30 New York; quote time not stated)" in text_of(
        answer
    )
    for named in ("market data (refused)", "the API's own terms of contracts (refused)", "buying power"):
        assert named in data_of(answer)["projection"][-1]


@pytest.mark.requirement("I-04", "I-08")
async def test_the_question_shows_the_evening_that_the_preview_showed(era: str, tmp_path: Path) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (_, client):
        preview = data_of(await client.call_tool("preview_instructions", batch(row(AAPL, quantity="2"))))
        await client.call_tool("submit_instructions", {"plan_id": preview["plan_id"]})
    (question,) = person.questions
    assert "220C 5 (2 exercised by this batch, 3 exercised by exception); shares 100 → 600" in question
    assert all(each in question for each in preview["projection"])


BAD_ROWS = {
    "an equity": (row("AMD"), "AMD is not an option"),
    "a short": (row(TSLA), "is held short (-2): only the long side decides"),
    "an expired contract": (row("AAPL261113C00220000"), "Nothing held is called AAPL261113C00220000"),
    "a contract not held": (row("GOOG261120C00100000"), "Nothing held is called GOOG261120C00100000"),
    "too many": (row(AAPL, quantity="6"), "Insufficient position: asked 6, available 5"),
    "a billion": (row(AAPL, quantity="999999999"), "Insufficient position: asked 999999999, available 5"),
    "what is instructed": (row(NVDA, quantity="4"), "of 4 held 1 are already under instruction (DO_NOT_EXERCISE 1"),
    "a used key": (row(AAPL, instruction_id="morning-1"), "The key morning-1 is that of instruction"),
}


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("case", BAD_ROWS)
async def test_a_row_that_may_not_be_submitted_is_caught_in_the_preview_with_its_reason(
    era: str, tmp_path: Path, case: str
) -> None:
    bad, reason = BAD_ROWS[case]
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        answer = await client.call_tool("preview_instructions", batch(row(AMD), bad))
        data = data_of(answer)
        assert data["summary"].endswith(
            "1 of 2 instructions may not be submitted, so there is no plan. Nothing was sent."
        )
        assert reason in cell(data, 1, "problems")
        assert cell(data, 0, "problems") == ""
        assert "plan_id" not in data
        assert reason.split("(")[0] in text_of(answer)
        assert reason in error_of(await client.call_tool("submit_instructions", batch(row(AMD), bad)))
        assert floor.effects == {}
    assert person.questions == []


@pytest.mark.requirement("I-03")
async def test_repeated_rows_and_reused_keys_are_caught_in_the_preview(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        twice = data_of(await client.call_tool("preview_instructions", batch(row(AAPL), row("AAPL 261120C00220000"))))
        assert "Row 1 already asks EXERCISE of AAPL261120C00220000" in cell(twice, 1, "problems")
        keyed = batch(row(AAPL, instruction_id="k"), row(AMD, instruction_id="k"))
        assert "The key k is already that of row 1." in cell(
            data_of(await client.call_tool("preview_instructions", keyed)), 1, "problems"
        )
        assert floor.effects == {}


@pytest.mark.requirement("I-03", "G-09")
@pytest.mark.parametrize("tool", ["preview_instructions", "submit_instructions"])
@pytest.mark.parametrize(
    "quantity", ["0", "-1", "1.5", "1e3", " 1", "1 ", "1\n", "٣", str(10**18), "", "01", -5, 0, 1.5, True, None]
)
async def test_anything_but_whole_contracts_as_text_is_an_error(
    era: str, tmp_path: Path, tool: str, quantity: object
) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        bad = {**row(AAPL), "quantity": quantity}
        message = error_of(await client.call_tool(tool, {"instructions": [bad]}))
        assert message.startswith("Invalid arguments. instructions.0.quantity:")
        assert "Nothing was sent" in message
        assert floor.effects == {}


@pytest.mark.requirement("I-03", "G-09")
@pytest.mark.parametrize(
    ("instructions", "reason"),
    [
        ([], "a list of 1 to 1000"),
        ([row(AAPL)] * 1001, "a list of 1 to 1000"),
        ([row(AAPL, "ASSIGN")], "EXERCISE, DO_NOT_EXERCISE, CONTRARY_EXERCISE"),
        ([row(AAPL, instruction_id="with space")], "instruction_id"),
        ([{**row(AAPL), "force": True}], "force is not an argument"),
        ([{**row(AAPL), "quantity": 1.5}], "quantity"),
        ("AAPL", "list"),
    ],
)
async def test_a_batch_of_the_wrong_form_is_an_error_that_says_so(
    era: str, tmp_path: Path, instructions: object, reason: str
) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        for tool in ("preview_instructions", "submit_instructions"):
            message = error_of(await client.call_tool(tool, {"instructions": instructions}))
            assert reason in message
            assert "Nothing was sent" in message
        assert floor.effects == {}


@pytest.mark.requirement("I-03")
async def test_a_broker_may_set_an_earlier_deadline(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, trading={"exercise_deadline": "14:00"}) as (_, client):
        data = data_of(await client.call_tool("preview_instructions", batch(row(AAPL))))
        assert "ended on 2026-11-20 at 14:00 New York time" in cell(data, 0, "problems")


@pytest.mark.requirement("T-03", "I-04")
async def test_a_large_preview_says_what_it_leaves_out() -> None:
    symbols = [f"AAPL261120C{strike:05d}000" for strike in range(100, 310)]
    facts = {"instrument_type": "OPTION", "available_quantity": "5"}
    broker = StubBroker(positions=[held(symbol, "5", number, **facts) for number, symbol in enumerate(symbols)])
    answer = await call(server_over(broker), "preview_instructions", batch(*map(row, symbols)))
    data = data_of(answer)
    assert (len(data["rows"]), len(data["consequences"])) == (200, 20)
    said = (
        "The consequences of the first 20 of 210 rows are shown; who decides sees them all. The table stops at row 200."
    )
    assert said in text_of(answer)
    assert said in data["findings"][-1]

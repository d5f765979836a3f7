"""Submitting and cancelling position instructions: every judgement, every status, in both dialects."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from paper.support import INSTRUCTIONS, Opening, SettableClock, http
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper.symbols import instrument_id_of
from positions_mcp.paper.wire import NIL_ID

APPLE_CALL = "AAPL261123C00220000"  # 5 held; clearing accepts 3
NVIDIA_PUT = "NVDA261123P00175000"  # 4 held, 1 instructed; a cancel fails
AMD_CALL = "AMD261123C00185000"  # 10 held
MICROSOFT_CALL = "MSFT261123C00450000"  # 6 held, 4 instructed; not taken in
SHORT_CALL = "TSLA261123C00310000"  # 2 short
EXPIRY = datetime(2026, 11, 23, tzinfo=NEW_YORK)


def row(symbol: str, kind: str = "EXERCISE", quantity: str = "1", **keys: str) -> dict[str, str]:
    return {"instruction_type": kind, "instrument_id": instrument_id_of(symbol), "quantity": quantity, **keys}


async def submit(client: httpx.AsyncClient, *rows: dict[str, str]) -> httpx.Response:
    return await client.post(INSTRUCTIONS, json=list(rows))


def listed(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {found["id"]: found for found in answer.json()["data"]}


@pytest.mark.parametrize(("contract", "key"), [("seed", "instruction_id"), ("current", "client_instruction_id")])
async def test_a_sound_batch_is_200_with_every_row_sent_and_the_callers_key_echoed(opened: Opening, contract, key):
    exchange = opened("expiry", contract=contract)
    async with http(exchange) as client:
        answer = await submit(client, row(APPLE_CALL, **{key: "mine"}), row(AMD_CALL, "CONTRARY_EXERCISE", "10"))
        first, second = answer.json()["data"]
        assert answer.status_code == 200
        assert [first["status"], second["status"]] == ["SENT", "SENT"]
        assert first[key] == "mine"
        assert second[key] == second["id"]
        assert first["symbol"] == "AAPL  261123C00220000"
        assert {first["id"], second["id"]} <= set(listed(await client.get(INSTRUCTIONS)))
    assert exchange.effect_counts() == {"submit_position_instructions": 1}


async def test_clearing_accepts_later_and_perhaps_for_less(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        less, all_of_it = (await submit(client, row(APPLE_CALL, quantity="5"), row(AMD_CALL, quantity="4"))).json()[
            "data"
        ]
        exchange.clock.advance(timedelta(seconds=5))
        found = listed(await client.get(INSTRUCTIONS))
    assert (found[less["id"]]["status"], found[less["id"]]["accepted_quantity"]) == ("ACCEPTED", "3")
    assert (found[all_of_it["id"]]["status"], found[all_of_it["id"]]["accepted_quantity"]) == ("ACCEPTED", "4")


async def test_clearing_rejects_with_a_reason_in_both_places(opened: Opening, clock: SettableClock):
    async with http(opened("rough")) as client:
        (sent,) = (await submit(client, row("NVDA261123P00160000"))).json()["data"]
        clock.advance(timedelta(seconds=5))
        found = listed(await client.get(INSTRUCTIONS))[sent["id"]]
    assert (found["status"], found["rejection_reason"]) == ("REJECTED", "Account is not enabled for exercise")
    assert found["rejection"]["domain"] == "com.clearstreet.oems.clearing"


@pytest.mark.parametrize(("contract", "status"), [("seed", "ENGINE_REJECTED"), ("current", "REJECTED")])
async def test_a_mixed_batch_is_207_and_its_refused_rows_have_no_id_and_are_never_listed(
    opened: Opening, contract, status
):
    async with http(opened("expiry", contract=contract)) as client:
        answer = await submit(client, row(APPLE_CALL), row(SHORT_CALL), row(AMD_CALL, quantity="11"))
        sent, short, many = answer.json()["data"]
        before = listed(await client.get(INSTRUCTIONS))
    assert answer.status_code == 207
    assert answer.json()["error"]["code"] == 400
    assert answer.json()["error"]["message"] == short["rejection_reason"]
    assert [detail["row"] for detail in answer.json()["error"]["details"]] == ["1", "2"]
    assert [sent["status"], short["status"], many["status"]] == ["SENT", status, status]
    assert short["id"] == many["id"] == NIL_ID
    assert many["rejection_reason"] == "The position is too small: available=10, requested=11"
    assert NIL_ID not in before
    assert len(before) == 4
    if contract == "current":
        assert many["rejection"] == {
            "reason": "INSUFFICIENT_POSITION",
            "domain": "com.clearstreet.oems.exercise",
            "description": many["rejection_reason"],
            "metadata": {"available": "10", "requested": "11"},
        }


async def test_a_whole_quantity_is_a_whole_number_however_it_is_written(opened: Opening):
    async with http(opened("expiry")) as client:
        (sent,) = (await submit(client, row(AMD_CALL, quantity="3.00"))).json()["data"]
        (refused,) = (await submit(client, row(AMD_CALL, quantity="8.0"))).json()["data"]
    assert (sent["quantity"], refused["quantity"]) == ("3", "8")
    assert refused["rejection"]["metadata"] == {"available": "7", "requested": "8"}


CASES = {
    "what the scenario refuses": (row(MICROSOFT_CALL), 400, "OPTIONS_LEVEL_EXCEEDED"),
    "a short position": (row(SHORT_CALL), 400, "INSUFFICIENT_POSITION"),
    "more than is held": (row(AMD_CALL, quantity="11"), 400, "INSUFFICIENT_POSITION"),
    "less what is instructed": (row(NVIDIA_PUT, quantity="4"), 400, "INSUFFICIENT_POSITION"),
    "half a contract": (row(AMD_CALL, quantity="1.5"), 400, "INVALID_QUANTITY"),
    "no contract": (row(AMD_CALL, quantity="0"), 400, "INVALID_QUANTITY"),
    "fewer than none": (row(AMD_CALL, quantity="-1"), 400, "INVALID_QUANTITY"),
    "a share": (row("AAPL"), 400, "NOT_AN_OPTION"),
    "a known key": (
        row(AMD_CALL, client_instruction_id="morning-1", instruction_id="morning-1"),
        409,
        "DUPLICATE_INSTRUCTION",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_refused_batch_has_the_status_of_its_cause_and_rows_only_in_the_current_dialect(
    opened: Opening, case: str
):
    refused, status, reason = CASES[case]
    exchange = opened("expiry")
    async with http(exchange) as current, http(opened("expiry", contract="seed")) as seed:
        enveloped, flat = await submit(current, refused), await submit(seed, refused)
    assert enveloped.status_code == flat.status_code == status
    (found,) = enveloped.json()["data"]
    assert (found["status"], found["id"], found["rejection"]["reason"]) == ("REJECTED", NIL_ID, reason)
    assert flat.json()["code"] == status
    assert "data" not in flat.json()
    assert exchange.effect_counts() == {}


async def test_a_duplicate_names_the_original(opened: Opening):
    async with http(opened("expiry")) as client:
        first = row(AMD_CALL, client_instruction_id="once")
        (original,) = (await submit(client, first)).json()["data"]
        (again,) = (await submit(client, first)).json()["data"]
        assert again["rejection"]["metadata"] == {"existing_id": original["id"]}
        assert f"existing_id={original['id']}" in again["rejection_reason"]
        twice = row(AMD_CALL, client_instruction_id="twice")
        both = await submit(client, twice, twice)
    assert both.status_code == 207
    assert [found["status"] for found in both.json()["data"]] == ["SENT", "REJECTED"]


async def test_an_unknown_instrument_refuses_the_whole_batch_in_the_seed_and_its_row_in_the_current_dialect(
    opened: Opening,
):
    exchange = opened("expiry", contract="seed")
    batch = (row("AAPL270115C00220000"), row(AMD_CALL))
    async with http(exchange) as seed, http(opened("expiry")) as current:
        assert (await submit(seed, *batch)).status_code == 404
        assert exchange.effect_counts() == {}
        answer = await submit(current, *batch)
        alone = await submit(current, batch[0])
    assert answer.status_code == 207
    assert answer.json()["data"][0]["rejection"]["reason"] == "INSTRUMENT_NOT_FOUND"
    assert alone.status_code == 404


@pytest.mark.parametrize(
    ("kind", "reason"), [("DO_NOT_EXERCISE", "DNE_NOT_ON_EXPIRY"), ("CONTRARY_EXERCISE", "CEA_NOT_ON_EXPIRY")]
)
async def test_dne_and_cea_are_taken_on_the_expiration_date_only_and_exercise_on_any(
    opened: Opening, kind: str, reason: str
):
    async with http(opened("demo")) as client:
        later = "PLTR261211P00070000"
        (found,) = (await submit(client, row(later, kind))).json()["data"]
        assert found["rejection"]["reason"] == reason
        assert found["rejection"]["metadata"] == {"expiry": "2026-12-11", "business_date": "2026-11-23"}
        assert (await submit(client, row(later))).status_code == 200


async def test_the_deadline_is_half_past_five_in_new_york(opened: Opening, clock: SettableClock):
    exchange = opened("expiry")
    async with http(exchange) as client:
        exchange.clock.set(EXPIRY.replace(hour=17, minute=29, second=59))
        assert (await submit(client, row(AMD_CALL))).status_code == 200
        exchange.clock.set(EXPIRY.replace(hour=17, minute=30))
        late = await submit(client, row(AMD_CALL))
    assert late.status_code == 400
    (found,) = late.json()["data"]
    assert found["rejection"]["reason"] == "EXERCISE_PAST_CUTOFF"
    assert found["rejection"]["metadata"] == {"cutoff_time": "2026-11-23T17:30:00-05:00"}


async def test_after_an_early_close_the_deadline_is_ninety_minutes_later(opened: Opening, clock: SettableClock):
    clock.at = datetime(2026, 11, 27, 14, 29, tzinfo=NEW_YORK)
    exchange = opened("demo")
    call = "AAPL261127C00225000"
    async with http(exchange) as client:
        assert (await submit(client, row(call))).status_code == 200
        clock.advance(timedelta(minutes=1))
        (late,) = (await submit(client, row(call))).json()["data"]
    assert late["rejection"]["metadata"] == {"cutoff_time": "2026-11-27T14:30:00-05:00"}


AT_THE_OPENING = """
title = "AM settlement"

[[underlyings]]
symbol = "SPX"
price = 6_000
index = true

[[option_roots]]
root = "SPX"
over = "SPX"
style = "european"
settles = "open"

[[positions]]
symbol = "SPX today 5900 call"
quantity = 2
average_price = 90
"""


async def test_what_the_opening_settles_takes_no_instruction_from_that_opening_on(
    opened: Opening, clock: SettableClock, tmp_path: Path
):
    scenario = tmp_path / "opening.toml"
    scenario.write_text(AT_THE_OPENING)
    clock.at = EXPIRY.replace(hour=9, minute=29, second=59)
    exchange, option = opened(str(scenario)), "SPX261123C05900000"
    async with http(exchange) as client:
        assert (await submit(client, row(option, "DO_NOT_EXERCISE"))).status_code == 200
        clock.advance(timedelta(seconds=1))
        (late,) = (await submit(client, row(option))).json()["data"]
    assert late["rejection"]["reason"] == "EXERCISE_PAST_CUTOFF"
    assert late["rejection"]["description"].startswith("The opening has settled it")
    assert late["rejection"]["metadata"] == {"cutoff_time": "2026-11-23T09:30:00-05:00"}


@pytest.mark.parametrize("contract", ["seed", "current"])
async def test_without_clearing_everything_is_503(opened: Opening, contract: str):
    exchange = opened("expiry", contract=contract)
    exchange.arm("clearing_down", times=3)
    async with http(exchange) as client:
        answer = await submit(client, row(AMD_CALL))
        assert answer.status_code == 503
        assert ("data" in answer.json()) == (contract == "current")
        assert (await client.get(INSTRUCTIONS)).status_code == 503
        assert (await client.delete(f"{INSTRUCTIONS}/{NIL_ID}")).status_code == 503
    assert exchange.effect_counts() == {}


async def test_a_cancel_is_requested_first_and_done_later(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        rows = {found["client_instruction_id"]: found for found in listed(await client.get(INSTRUCTIONS)).values()}
        target = f"{INSTRUCTIONS}/{rows['morning-2']['id']}"
        answer = await client.delete(target)
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "CANCEL_REQUESTED"
        assert (await client.delete(target)).status_code == 409
        exchange.clock.advance(timedelta(seconds=5))
        assert listed(await client.get(INSTRUCTIONS))[rows["morning-2"]["id"]]["status"] == "CANCELLED"
        assert (await client.delete(target)).status_code == 409
        assert (await client.delete(f"{INSTRUCTIONS}/{rows['morning-1']['id']}")).status_code == 409
    assert exchange.effect_counts() == {"cancel_position_instruction": 1}


async def test_a_cancel_may_fail_and_the_original_then_stands(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        rows = {found["client_instruction_id"]: found for found in listed(await client.get(INSTRUCTIONS)).values()}
        await client.delete(f"{INSTRUCTIONS}/{rows['morning-3']['id']}")
        exchange.clock.advance(timedelta(seconds=5))
        found = listed(await client.get(INSTRUCTIONS))[rows["morning-3"]["id"]]
        assert found["status"] == "CANCEL_FAILED"
        assert found["rejection_reason"] == "Clearing could not cancel: the instruction is already in its evening file"
        more = await submit(client, row(NVIDIA_PUT, quantity="4"))
        assert more.json()["data"][0]["rejection"]["metadata"]["available"] == "3"


async def test_a_cancelled_instruction_frees_its_contracts(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        (sent,) = (await submit(client, row(AMD_CALL, quantity="10"))).json()["data"]
        assert (await submit(client, row(AMD_CALL))).status_code == 400
        await client.delete(f"{INSTRUCTIONS}/{sent['id']}")
        exchange.clock.advance(timedelta(seconds=5))
        assert (await submit(client, row(AMD_CALL, quantity="10"))).status_code == 200


async def test_an_instruction_of_another_id_is_not_found(opened: Opening):
    async with http(opened("expiry")) as client:
        for identifier in (NIL_ID, instrument_id_of("AAPL"), "morning-1", "%2E%2E"):
            assert (await client.delete(f"{INSTRUCTIONS}/{identifier}")).status_code == 404

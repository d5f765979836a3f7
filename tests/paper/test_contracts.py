"""Three contracts of the API as it was, and one that answers a caller's key under both of its names."""

from __future__ import annotations

from typing import Any

import pytest

from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, by_symbol, http
from paper.test_instructions import AMD_CALL, APPLE_CALL, NIL_ID, row, submit

OLD, NEW = "instruction_id", "client_instruction_id"
KEYS = {"seed": (OLD,), "summer": (OLD,), "current": (NEW,), "auto": (OLD, NEW)}
CONTRACTS = tuple(KEYS)


@pytest.mark.parametrize(
    ("contract", "present", "absent"),
    [
        ("seed", set(), {"daily_realized_pnl", "underlying_instrument_type"}),
        ("summer", {"daily_realized_pnl"}, {"underlying_instrument_type"}),
        ("current", {"daily_realized_pnl", "underlying_instrument_type"}, set()),
    ],
)
async def test_a_position_has_the_fields_of_its_contract(opened: Opening, contract: str, present: set, absent: set):
    async with http(opened("demo", contract=contract)) as client:
        option = by_symbol(await client.get(POSITIONS))["AAPL261123C00225000"]
        sorting = await client.get(POSITIONS, params={"sort_by": "DAILY_REALIZED_PNL"})
    assert present <= option.keys()
    assert not absent & option.keys()
    assert option["position_type"] == ("LONG_CALL" if contract == "seed" else "LONG")
    assert sorting.status_code == (400 if contract == "seed" else 200)


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_an_order_always_has_a_clients_id_and_names_an_instrument_until_that_could_be_null(
    opened: Opening, contract: str
):
    async with http(opened("rough", contract=contract)) as client:
        (spread,) = (await client.get(ORDERS)).json()["data"]
        found = (await client.get(ORDERS, params={"order_ids": spread["client_order_id"].upper()})).json()["data"]
        options = (await client.get(ORDERS, params={"instrument_type": "OPTION"})).json()["data"]
    assert found == [spread]
    if contract in ("current", "auto"):
        assert spread["instrument_id"] is spread["symbol"] is spread["instrument_type"] is None
        assert not options
    else:
        assert (spread["instrument_id"], spread["symbol"], spread["instrument_type"]) == (NIL_ID, "", "OPTION")
        assert options == [spread]


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_a_refused_batch_has_rows_since_the_summer(opened: Opening, contract: str):
    async with http(opened("expiry", contract=contract)) as client:
        answer = await submit(client, row(AMD_CALL, quantity="99"))
    assert answer.status_code == 400
    if contract == "seed":
        assert "data" not in answer.json()
    else:
        (refused,) = answer.json()["data"]
        assert (refused["status"], "rejection" in refused) == ("REJECTED", contract != "summer")


@pytest.mark.parametrize(("contract", "name"), [(contract, name) for contract in CONTRACTS for name in KEYS[contract]])
async def test_a_key_is_echoed_under_every_name_the_contract_knows_and_prevents_a_second_instruction(
    opened: Opening, contract: str, name: str
):
    async with http(opened("expiry", contract=contract)) as client:
        (sent,) = (await submit(client, row(AMD_CALL, **{name: "mine"}))).json()["data"]
        again = await submit(client, row(AMD_CALL, **{name: "mine"}))
        listed = {found["id"]: found for found in (await client.get(INSTRUCTIONS)).json()["data"]}
    assert again.status_code == 409
    for found in (sent, listed[sent["id"]]):
        assert {key: value for key, value in found.items() if key in (OLD, NEW)} == dict.fromkeys(
            KEYS[contract], "mine"
        )


FOREIGN = ("clientInstructionId", "instructionId", "client_order_id", "idempotency_key", "key", "id", "Instruction_ID")


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        ("seed", NEW),
        ("summer", NEW),
        ("current", OLD),
        *(("current", name) for name in FOREIGN),
        *(("auto", name) for name in FOREIGN),
    ],
)
@pytest.mark.parametrize("value", ["mine", 7, ["mine"], ""])
async def test_a_key_under_a_name_the_contract_does_not_know_is_refused(
    opened: Opening, contract: str, name: str, value: Any
):
    exchange = opened("expiry", contract=contract)
    async with http(exchange) as client:
        answer = await submit(client, row(APPLE_CALL), row(AMD_CALL, **{name: value}))
    assert answer.status_code == 400
    assert name in answer.text
    assert all(known in answer.text for known in KEYS[contract])
    assert exchange.effect_counts() == {}


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_a_key_may_be_given_under_both_names_where_they_agree(opened: Opening, contract: str):
    exchange = opened("expiry", contract=contract)
    async with http(exchange) as client:
        (sent,) = (await submit(client, row(AMD_CALL, **{OLD: "mine", NEW: "mine"}))).json()["data"]
        differing = await submit(client, row(AMD_CALL, **{OLD: "mine", NEW: "yours"}))
        nothing = await submit(client, row(AMD_CALL, **{OLD: None, NEW: None}))
    assert {sent[name] for name in KEYS[contract]} == {"mine"}
    assert (differing.status_code, nothing.status_code) == (400, 200)
    assert exchange.effect_counts() == {"submit_position_instructions": 2}


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_option_symbols_have_their_root_padded_to_six_everywhere(opened: Opening, contract: str):
    async with http(opened("rough", contract=contract)) as client:
        await submit(client, row("NVDA261123C00140000"))
        rows = [
            found
            for path in (POSITIONS, INSTRUCTIONS, ORDERS)
            for found in (await client.get(path)).json()["data"]
            if found.get("instrument_type", "OPTION") == "OPTION" and found["symbol"]
        ]
        closed = (await client.request("DELETE", POSITIONS)).json()["data"]
        legs = [leg for order in (await client.get(ORDERS)).json()["data"] for leg in order.get("legs") or ()]
    symbols = [one["symbol"] for one in (*rows, *closed, *legs) if len(one["symbol"]) > 5]
    assert len(symbols) > 8
    assert {len(symbol) for symbol in symbols} == {21}
    assert "NVDA  261123C00140000" in symbols


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_a_batch_that_is_refused_or_half_refused_carries_the_cause_of_its_row(opened: Opening, contract: str):
    key = {KEYS[contract][0]: "once"}
    async with http(opened("expiry", contract=contract)) as client:
        (original,) = (await submit(client, row(AMD_CALL, **key))).json()["data"]
        all_of_it, half = (
            await submit(client, row(AMD_CALL, **key)),
            await submit(client, row(AMD_CALL), row(AMD_CALL, **key)),
        )
    error = all_of_it.json() if contract == "seed" else all_of_it.json()["error"]
    assert (all_of_it.status_code, half.status_code) == (409, 207)
    for said in (error, half.json()["error"]):
        assert (said["code"], said["message"]) == (409, "Duplicate exercise instruction")
        assert isinstance(said["details"], list)
    _, again = half.json()["data"]
    assert again["rejection_reason"] == f"Duplicate exercise instruction; existing_id={original['id']}"


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_a_submission_that_fails_inside_rejects_every_row_and_has_no_effect(opened: Opening, contract: str):
    exchange = opened("expiry", contract=contract)
    exchange.arm("status_500", "submit_position_instructions")
    async with http(exchange) as client:
        answer = await submit(client, row(AMD_CALL), row(APPLE_CALL))
    assert answer.status_code == 500
    error = answer.json() if contract == "seed" else answer.json()["error"]
    assert (error["code"], error["message"]) == (500, "Could not process the instruction")
    if contract != "seed":
        assert [found["rejection_reason"] for found in answer.json()["data"]] == [error["message"]] * 2
    assert exchange.effect_counts() == {}


@pytest.mark.parametrize("body", [b"null", b" null\n", b"", b"{}", b'{"cancel_orders": null}'])
async def test_a_close_without_a_wish_cancels_nothing(opened: Opening, body: bytes):
    async with http(opened("demo")) as client:
        answer = await client.request("DELETE", f"{POSITIONS}/MSFT", content=body)
        (order,) = answer.json()["data"]
        resting = (await client.get(ORDERS, params={"status": "NEW"})).json()["data"]
    assert (order["quantity"], len(resting)) == ("60", 1)


async def test_permission_and_parse_messages_have_the_official_form(opened: Opening):
    async with http(opened("demo")) as client:
        forbidden = (await client.get("/v1/accounts/4711/positions")).json()["error"]
        unread = (await client.request("DELETE", POSITIONS, content=b'{\n "cancel_orders" true}')).json()["error"]
        misread = (await client.get(f"{ORDERS}?from=123")).json()["error"]
        missing = (await client.get(f"{ORDERS}/{NIL_ID}")).json()["error"]
        incomplete = (await client.post(INSTRUCTIONS, json=[{"instrument_id": NIL_ID, "quantity": "1"}])).json()[
            "error"
        ]
    assert forbidden["message"] == "The caller does not have permission to execute the specified operation"
    assert unread["message"] == "Failed to parse the request body as JSON: expected `:` at line 2 column 18"
    assert misread["message"].startswith(
        "Failed to deserialize query string: from: invalid date or datetime '123': expected"
    )
    assert missing["message"] == f"Order {NIL_ID} not found for account 19816"
    assert incomplete["code"] == 422
    assert incomplete["message"].endswith("into the target type: [0]: missing field `instruction_type`")

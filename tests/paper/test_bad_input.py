"""Whatever is wrong with a request, the answer has the API's own shape and says what it was."""

from __future__ import annotations

import httpx
import pytest

from paper.support import ACCOUNT, INSTRUCTIONS, ORDERS, POSITIONS, Opening, http
from positions_mcp.paper.symbols import instrument_id_of

JSON = {"Content-Type": "application/json"}
CALL = instrument_id_of("AAPL261123C00225000")


def flat(answer: httpx.Response, status: int) -> str:
    """The message of a flat error, with its request id in the details and the header."""
    body = answer.json()
    assert answer.status_code == body["code"] == status, answer.text
    assert {"request_id": answer.headers["x-request-id"]} in body["details"]
    return str(body["message"])


def enveloped(answer: httpx.Response, status: int) -> str:
    """The message of an enveloped error, with its request id in the metadata and the header."""
    body = answer.json()
    assert answer.status_code == body["error"]["code"] == status, answer.text
    assert body["metadata"]["request_id"] == answer.headers["x-request-id"]
    return str(body["error"]["message"])


@pytest.mark.parametrize(("contract", "said"), [("seed", flat), ("summer", enveloped), ("current", enveloped)])
async def test_errors_are_flat_in_the_seed_and_enveloped_afterwards(opened: Opening, contract, said):
    exchange = opened("demo", contract=contract)
    async with http(exchange) as client:
        said(await client.get("/v1/nothing"), 404)
        said(await client.put(POSITIONS), 405)
        said(await client.delete(INSTRUCTIONS), 405)
        said(await client.get("/v1/accounts/4711/positions"), 403)
        said(await client.get("/v1/accounts/me/positions"), 400)
        said(await client.delete(f"{POSITIONS}/NOBODY"), 404)
        said(await client.post(INSTRUCTIONS, content=b"x" * (1024 * 1024 + 1)), 413)
    async with http(exchange, key=None) as nobody, http(exchange, key="paper.wrong") as wrong:
        said(await nobody.get(POSITIONS), 401)
        said(await wrong.delete(POSITIONS), 401)
    assert exchange.effect_counts() == {}


@pytest.mark.parametrize(("contract", "errors", "said"), [("seed", "enveloped", enveloped), ("current", "flat", flat)])
async def test_either_dialect_can_have_the_other_shape_of_errors(opened: Opening, contract, errors, said):
    async with http(opened("demo", contract=contract, errors=errors)) as client:
        said(await client.get("/v1/nothing"), 404)


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0", "page_size=1001", "page_size=ten", "page_size=1.5", "page_size=%D9%A3", "page_size=",
        "sort_by=COLOUR", "sort_by=", "sort_direction=UP", "instrument_ids=", "instrument_ids=AAPL,,MSFT",
        "page_size=1&page_size=2", "sort_by=%FF",
    ],
)  # fmt: skip
async def test_a_parameter_that_is_not_allowed_is_400(opened: Opening, query: str):
    async with http(opened("demo")) as client:
        enveloped(await client.get(f"{POSITIONS}?{query}"), 400)


@pytest.mark.parametrize(
    "query", ["status=OPEN", "from=yesterday", "instrument_type=BOND", "from=2026-12-01&to=2026-11-01"]
)
async def test_a_filter_of_orders_that_is_not_allowed_is_400(opened: Opening, query: str):
    async with http(opened("demo")) as client:
        enveloped(await client.get(f"{ORDERS}?{query}"), 400)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 400) for body in (b"{", b"\xff", b'{"a": NaN}', b'{"cancel_orders" true}')),
        *((body, 422) for body in (b"[]", b"1", b"false", b'"null"')),
        *((b'{"cancel_orders": %s}' % value, 422) for value in (b'"yes"', b"1", b"[]", b'"true"')),
    ],
)
@pytest.mark.parametrize("path", [POSITIONS, f"{POSITIONS}/AAPL"])
async def test_a_close_with_a_malformed_body_closes_nothing(opened: Opening, path: str, body: bytes, status: int):
    exchange = opened("demo")
    async with http(exchange) as client:
        enveloped(await client.request("DELETE", path, content=body, headers=JSON), status)
    assert exchange.effect_counts() == {}


def one_row(quantity: str = '"1"', kind: str = "EXERCISE", more: str = "") -> str:
    return f'[{{"instruction_type": "{kind}", "instrument_id": "{CALL}", "quantity": {quantity}{more}}}]'


MISSHAPEN = [
    *("{}", "[1]", "[[]]", "[{}]", "null"),
    '[{"instruction_type": "EXERCISE", "quantity": "1"}]',
    one_row(kind="SELL"),
    *(one_row(quantity) for quantity in ("1", "null", "[]")),
    one_row(more=', "client_instruction_id": 7'),
    one_row(more=', "quanttiy": "2"'),
]
UNUSABLE = [
    *("[]", "[" * 100_000, "[{"),
    *(one_row(text) for text in ('""', '"one"', '"NaN"', '"1_0"', '" 1"', '"+1"', '"٣"', f'"{10**40}"')),
    *(one_row(exponent) for exponent in ('"1e2"', '"1e999999999"', '"1e-999999999"')),
    one_row(more=', "client_instruction_id": ""'),
    one_row(more=', "client_instruction_id": "half of a pair: \\ud83d"'),
]


@pytest.mark.parametrize(("body", "status"), [*((b, 422) for b in MISSHAPEN), *((b, 400) for b in UNUSABLE)])
async def test_a_batch_with_a_malformed_row_is_refused_whole(opened: Opening, body: str, status: int):
    exchange = opened("demo")
    async with http(exchange) as client:
        enveloped(await client.post(INSTRUCTIONS, content=body.encode(), headers=JSON), status)
    assert exchange.effect_counts() == {}


async def test_a_key_in_any_script_is_echoed_and_listed(opened: Opening):
    async with http(opened("demo")) as client:
        body = one_row(more=', "client_instruction_id": "ключ \\ud83d\\udd11"')
        answer = await client.post(INSTRUCTIONS, content=body.encode(), headers=JSON)
        listed = await client.get(INSTRUCTIONS)
    assert answer.json()["data"][0]["client_instruction_id"] == "ключ 🔑"
    assert listed.json()["data"][-1]["client_instruction_id"] == "ключ 🔑"


@pytest.mark.parametrize(
    "path", ["/paper/status", "/paper/effects", "/paper/faults", "/paper/clock", "/openapi.json", POSITIONS]
)
async def test_head_is_answered_wherever_get_is(opened: Opening, path: str):
    async with http(opened("demo")) as client:
        assert (await client.head(path)).status_code == (await client.get(path)).status_code == 200


async def test_a_batch_of_more_than_a_thousand_rows_is_refused(opened: Opening):
    row = {"instruction_type": "EXERCISE", "instrument_id": CALL, "quantity": "1"}
    async with http(opened("demo")) as client:
        assert "1001" in enveloped(await client.post(INSTRUCTIONS, json=[row] * 1001), 400)


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_error(
    opened: Opening, caplog: pytest.LogCaptureFixture
):
    app, sent = opened("demo").app, []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer paper.key")]
    await app(
        {"type": "http", "method": "DELETE", "path": POSITIONS, "query_string": b"", "headers": headers}, receive, send
    )
    assert (sent, caplog.records) == ([], [])


@pytest.mark.parametrize("target", ["%2E", "%2E%2E", "%20", "%00", "%E2%80%AE", "a" * 5000, "0"])
async def test_a_hostile_instrument_in_a_path_is_not_found_and_closes_nothing(opened: Opening, target: str):
    exchange = opened("demo")
    async with http(exchange) as client:
        enveloped(await client.delete(f"{ACCOUNT}/positions/{target}"), 404)
    assert exchange.effect_counts() == {}


async def test_an_account_number_beyond_any_bound_is_400(opened: Opening):
    async with http(opened("demo")) as client:
        for account in ("-1", "1e3", "9" * 30, "%D9%A3"):
            enveloped(await client.get(f"/v1/accounts/{account}/positions"), 400)

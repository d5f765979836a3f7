"""`/openapi.json` is true: what it says is answered, and nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from paper.serving import serving
from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, delete, http
from paper.test_instructions import row, submit
from positions_mcp.paper import DEFAULT_KEY
from positions_mcp.paper.dialects import dialect_of
from positions_mcp.paper.operations import specification

CONFIGURATION = """
seed = 1
[parameters]
account_id = 19816
[generation]
deterministic = true
max-examples = 6
[checks.use_after_free]
enabled = false
"""
"""A DELETE of an order or instruction asks for its cancel: it is there afterwards, and says what became of it."""
STATE_DECIDES = """
[[operations]]
include-name = "{}"
[operations.checks.positive_data_acceptance]
enabled = false
"""
"""No schema can say which tokens this service has signed, or what of a position is free: there 400 is right as well."""
CONTRACTS = ("seed", "summer", "current", "auto")
ONLY = {"summer": "/positions|/orders", "auto": "instructions"}
"""The operations in which these contracts differ from `current`: in the others they are `current`."""
SELECTED = {
    "seed": "20 selected / 20 total",
    "summer": "10 selected / 21 total",
    "current": "21 selected / 21 total",
    "auto": "3 selected / 21 total",
}
DECIDED_BY_STATE = (
    "GET /v1/accounts/{account_id}/positions",
    "GET /v1/accounts/{account_id}/orders",
    "POST /v1/accounts/{account_id}/orders",
    "DELETE /v1/accounts/{account_id}/positions/{instrument_id}",
    "POST /v1/accounts/{account_id}/positions/instructions",
    "GET /v1/accounts",
    "GET /v1/accounts/{account_id}/executions",
    "GET /v1/instruments",
    "GET /v1/instruments/options/contracts",
    "GET /v1/instruments/{instrument_id}/events",
    "GET /v1/market-data/snapshot",
)


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Every contract under test at the same time: a run of schemathesis for each, by its name."""
    directory = tmp_path_factory.mktemp("schemathesis")
    rules = "".join(STATE_DECIDES.format(name) for name in DECIDED_BY_STATE)
    (directory / "schemathesis.toml").write_text(CONFIGURATION + rules)
    with ExitStack() as stack:
        runs = {}
        for contract in CONTRACTS:
            served = stack.enter_context(serving(directory / contract, contract=contract))
            only = ("--include-path-regex", ONLY[contract]) if contract in ONLY else ()
            runs[contract] = stack.enter_context(_run(directory, served.url, *only))
        yield runs


def _run(directory: Path, url: str, *only: str) -> subprocess.Popen[str]:
    program = str(Path(sys.executable).with_name("schemathesis"))
    arguments = ("run", f"{url}/openapi.json", "-H", f"Authorization: Bearer {DEFAULT_KEY}", "--no-color", *only)
    return subprocess.Popen(
        [program, "--config-file", str(directory / "schemathesis.toml"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(directory / "hypothesis")},
    )


@pytest.mark.xdist_group("schemathesis")
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.requirement("P-04")
def test_schemathesis_finds_nothing(schemathesis: dict[str, subprocess.Popen[str]], contract: str):
    said, _ = schemathesis[contract].communicate()
    assert schemathesis[contract].returncode == 0, said[-6000:]
    assert SELECTED[contract] in said


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.requirement("P-04")
async def test_everything_that_is_answered_fits_the_specification(opened: Opening, clock: SettableClock, contract: str):
    exchange = opened("rough", contract=contract)
    document = specification(exchange.dialect)
    async with http(exchange) as client:
        sent = ""
        for _ in range(2):
            conforms(document, "/positions", await client.get(POSITIONS))
            conforms(document, "/orders", await client.get(ORDERS))
            answer = await submit(client, row("NVDA261123P00160000"), row("NVDA261123C00140000", quantity="9"))
            conforms(document, "/positions/instructions", answer)
            sent = sent or answer.json()["data"][0]["id"]
            conforms(document, "/positions/instructions", await submit(client, row("GME")))
            conforms(document, "/positions/instructions", await client.get(INSTRUCTIONS))
            conforms(document, "/positions", await delete(client, POSITIONS))
            conforms(document, "/positions/{instrument_id}", await delete(client, f"{POSITIONS}/NOBODY"))
            clock.advance(timedelta(seconds=30))
        conforms(document, "/positions/instructions/{instruction_id}", await client.delete(f"{INSTRUCTIONS}/{sent}"))
        clock.advance(timedelta(days=3))
        conforms(document, "/orders", await client.get(ORDERS))
        conforms(document, "/positions", await client.get(POSITIONS))


def conforms(document: dict[str, Any], path: str, answer: Any) -> None:
    """Checks an answer against the specification of its operation and status."""
    operation = document["paths"][f"/v1/accounts/{{account_id}}{path}"][answer.request.method.lower()]
    schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    closed = {**schema, "components": document["components"]}
    Draft202012Validator(closed, format_checker=FormatChecker()).validate(answer.json())


def test_the_specification_knows_each_dialects_own_names():
    seed, current = specification(dialect_of("seed")), specification(dialect_of("current"))
    assert "instruction_id" in seed["components"]["schemas"]["NewInstruction"]["properties"]
    assert "client_instruction_id" in current["components"]["schemas"]["NewInstruction"]["properties"]
    assert "QUEUED" in current["components"]["schemas"]["Order"]["properties"]["status"]["enum"]
    assert "QUEUED" not in seed["components"]["schemas"]["Order"]["properties"]["status"]["enum"]


def test_auto_promises_what_current_does_with_the_old_name_of_a_key_beside_the_new_one():
    current, auto = specification(dialect_of("current")), specification(dialect_of("auto"))
    for schema in ("Instruction", "NewInstruction"):
        assert auto["components"]["schemas"][schema]["properties"].pop("instruction_id")
        if "instruction_id" in (required := auto["components"]["schemas"][schema].get("required", [])):
            required.remove("instruction_id")
    auto["info"]["title"] = current["info"]["title"]
    assert auto == current


@pytest.mark.parametrize("contract", ONLY)
def test_what_is_put_to_current_alone_is_the_same_in_the_other_contract(contract: str):
    current, other = (inlined(specification(dialect_of(name))) for name in ("current", contract))
    alone = {path for path in current if not re.search(ONLY[contract], path)}
    assert {path: other[path] for path in alone} == {path: current[path] for path in alone}
    assert len(alone) >= 10


def inlined(document: dict[str, Any]) -> dict[str, Any]:
    """The paths of a specification with the schemas they name in place of the names, and without links to others."""

    def found(part: Any) -> Any:
        if isinstance(part, dict) and "$ref" in part:
            *_, kind, name = part["$ref"].split("/")
            return found(document["components"][kind][name])
        if isinstance(part, dict):
            return {name: found(value) for name, value in part.items() if name != "links"}
        return [found(value) for value in part] if isinstance(part, list) else part

    paths: dict[str, Any] = found(document["paths"])
    return paths


async def test_the_specification_is_served_without_a_key(opened: Opening):
    async with http(opened("empty"), key=None) as client:
        answer = await client.get("/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"

"""What a client can do that lies, replays, edits or answers by itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from mcp import MCPError
from mcp_types import ElicitResult, InputRequiredResult

from positions_mcp.domain.operation.plan import Mode
from tools.serving import data_of, error_of, words_of
from trading import Floor, Person, trading_floor, yes

MODERN = "2026-07-28"
KO = {"instruments": ["KO"]}
SAYS_YES = ElicitResult(action="accept", content={"approve": True})
CHOSEN = {"enabled": True, "max_notional": "none", "max_daily_notional": "none", "max_positions": 50}
LIVE = {"trading": CHOSEN, "approval": {"wait_s": 0, "desk_above": 25_000}}


async def asked(session: object, arguments: dict[str, object]) -> InputRequiredResult:
    """The first round of a call: the question, unanswered."""
    result = await session.call_tool("close_positions", arguments, allow_input_required=True)  # type: ignore[attr-defined]
    assert isinstance(result, InputRequiredResult)
    return result


@pytest.mark.requirement("G-01", "G-06")
async def test_a_replayed_state_with_its_answer_sends_nothing_again(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(MODERN, yes()) as client:
        question = await asked(client.session, KO)
        (key,) = question.input_requests
        again = {"input_responses": {key: SAYS_YES}, "request_state": question.request_state}
        first = await client.session.call_tool("close_positions", KO, **again)
        assert data_of(first)["state"] == "SUBMITTED"
        for _ in range(3):
            await client.session.call_tool("close_positions", KO, **again, allow_input_required=True)
        assert floor.effects == {"close_position": 1}
        floor.later(minutes=1)
        floor.hold("KO", 400)  # bought again: a new position, which needs a decision of its own
        await client.session.call_tool("close_positions", KO, **again, allow_input_required=True)
        assert floor.effects == {"close_position": 1}


@pytest.mark.requirement("G-01", "G-02")
async def test_an_answer_to_one_plan_does_not_approve_the_next(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(MODERN, yes()) as client:
        question = await asked(client.session, KO)
        (key,) = question.input_requests
        floor.later(minutes=6)
        newer = await asked(client.session, KO)
        assert newer.request_state != question.request_state
        replayed = await client.session.call_tool(
            "close_positions",
            KO,
            input_responses={key: SAYS_YES},
            request_state=question.request_state,
            allow_input_required=True,
        )
        assert isinstance(replayed, InputRequiredResult)
        assert floor.effects == {}


@pytest.mark.requirement("G-01", "G-02")
async def test_an_answer_to_one_question_does_not_approve_other_arguments(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(MODERN, yes()) as client:
        question = await asked(client.session, KO)
        (key,) = question.input_requests
        everything = {"input_responses": {key: SAYS_YES}, "request_state": question.request_state}
        for arguments in ({"instruments": ["XOM"]}, {"instruments": ["KO", "XOM"]}, {**KO, "cancel_orders": True}):
            try:
                result = await client.session.call_tool(
                    "close_positions", arguments, **everything, allow_input_required=True
                )
            except MCPError:
                continue  # the state does not belong to this request
            assert isinstance(result, InputRequiredResult) or result.is_error
        assert floor.effects == {}


@pytest.mark.requirement("G-01")
async def test_an_answer_without_its_state_or_with_an_edited_one_sends_nothing(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(MODERN, yes()) as client:
        question = await asked(client.session, KO)
        (key,) = question.input_requests
        edited = (question.request_state or "")[:-2] + "AA"
        for given in (None, "", "x", "e30", '{"v":3,"outcomes":{},"asked":{}}', edited):
            try:
                result = await client.session.call_tool(
                    "close_positions",
                    KO,
                    input_responses={key: SAYS_YES},
                    request_state=given,
                    allow_input_required=True,
                )
            except MCPError:
                continue
            assert isinstance(result, InputRequiredResult) or result.is_error
        assert floor.effects == {}


@pytest.mark.requirement("G-01")
async def test_an_answer_to_a_question_that_was_never_asked_makes_no_plan(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(MODERN, yes()) as client:
        keys = ["positions_mcp.tools.close_positions:ask", "ask"]
        result = await client.session.call_tool(
            "close_positions", KO, input_responses=dict.fromkeys(keys, SAYS_YES), allow_input_required=True
        )
        assert result.is_error
        assert data_of(await client.call_tool("list_operations", {}))["rows"] == []
        assert floor.effects == {}


@pytest.mark.requirement("G-01")
async def test_a_client_that_says_it_can_ask_and_then_cannot_sends_nothing(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        person = Person(fails="method not found")
        message = error_of(await floor.call("close_positions", KO, era="legacy", person=person))
        assert 'it can show a question to a person, and then did not: "method not found"' in message
        assert "Nothing was sent by this call. Once, the supervisor runs in a terminal: " in message
        assert "approver init" in message
        async with floor.client(MODERN, person) as client:
            with pytest.raises(MCPError):
                await client.call_tool("close_positions", KO)
        assert floor.effects == {}


async def auto_accepting(floor: Floor, era: str, content: dict[str, object]) -> list[str]:
    """Everything a client that says yes to all tries to close, call by call, and what it is told."""
    person = Person(content=content)
    calls = [("close_positions", {"instruments": [symbol]}) for symbol in ("GOOG", "KO", "XOM", "JPM", "AMZN")]
    async with floor.client(era, person, "autopilot") as client:
        said = [words_of(await client.call_tool(*call)) for call in calls]
        floor.later(minutes=1)
        return [*said, words_of(await client.call_tool("close_all_positions", {}))]


@pytest.mark.requirement("G-10", "G-15")
async def test_in_live_mode_a_bare_yes_without_the_account_typed_is_none(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, mode=Mode.LIVE, **LIVE) as floor:
        person = yes()
        answer = await floor.call("close_positions", {"instruments": ["GOOG"]}, era=era, person=person)
        assert data_of(answer)["state"] == "AWAITING_APPROVAL"
        assert "not with the account number 19816" in data_of(answer)["why"]
        assert person.questions[0].startswith("LIVE account 19816 (real money)")
        assert list(person.forms[0]["properties"]) == ["approve", "account_number"]
        for typed in ("19817", "1 9816", "019816", "", 19816):
            wrong = Person(content={"approve": True, "account_number": typed})
            answer = await floor.call("close_positions", {"instruments": ["GOOG"]}, era=era, person=wrong)
            assert data_of(answer)["state"] == "AWAITING_APPROVAL"
        assert floor.effects == {}
        spaced = Person(content={"approve": True, "account_number": " 19816 "})
        await floor.call("close_positions", {"instruments": ["GOOG"]}, era=era, person=spaced)
        assert floor.effects == {"close_position": 1}


@pytest.mark.requirement("G-10", "G-15")
async def test_in_live_mode_no_form_decides_anything_unless_a_person_chose_up_to_what(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, mode=Mode.LIVE, trading=CHOSEN) as floor:
        async with floor.desk() as desk:
            await desk.set_up()
        person = Person(content={"approve": True, "account_number": "19816"})
        answer = await floor.call("close_positions", {"instruments": ["GOOG"]}, era=era, person=person)
        assert person.questions == []
        assert data_of(answer)["state"] == "AWAITING_APPROVAL"
        assert floor.effects == {}


@pytest.mark.requirement("G-10", "G-01")
async def test_a_client_that_accepts_by_itself_stays_under_the_threshold_and_closes_no_live_account(
    era: str, tmp_path: Path
) -> None:
    async with trading_floor(tmp_path, mode=Mode.LIVE, **LIVE) as floor:
        said = await auto_accepting(floor, era, {"approve": True, "account_number": "19816"})
        assert floor.effects == {"close_position": 1}
        assert "elicitation, client autopilot" in said[0]
        assert "the supervisor's page" in said[-1]
        async with floor.client(era, yes()) as client:
            status = data_of(await client.call_tool("get_trading_status", {}))
        assert Decimal(status["used_today"]["19816"]) <= Decimal(25_000)


@pytest.mark.requirement("G-01", "G-15")
async def test_a_live_server_sends_nothing_until_a_person_enables_it_in_the_configuration(
    era: str, tmp_path: Path
) -> None:
    async with trading_floor(tmp_path, mode=Mode.LIVE) as floor:
        person = Person(content={"approve": True, "account_number": "19816"})
        message = error_of(await floor.call("close_positions", KO, era=era, person=person))
        assert "Trading is not enabled: this server only reads." in message
        assert "A person can set trading.enabled = true in the configuration" in message
        assert person.questions == []
        assert floor.effects == {}


@pytest.mark.requirement("G-15")
async def test_a_live_server_sends_nothing_until_a_person_chooses_limits(era: str, tmp_path: Path) -> None:
    trading = {**CHOSEN, "max_notional": None, "max_positions": None}
    async with trading_floor(tmp_path, mode=Mode.LIVE, trading=trading, approval=LIVE["approval"]) as floor:
        person = Person(content={"approve": True, "account_number": "19816"})
        message = error_of(await floor.call("close_positions", KO, era=era, person=person))
        assert "a person sets trading.max_notional, trading.max_positions (a number, or none)" in message
        assert "Nothing was sent by this call." in message
        async with floor.client(era, person) as client:
            status = data_of(await client.call_tool("get_trading_status", {}))
        assert "chooses trading.max_notional, trading.max_positions" in status["trading"]
        assert person.questions == []
        assert floor.effects == {}

"""A form that is answered after its plan was decided elsewhere: sent at most once, and the answer says what is true."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from positions_mcp.domain.errors import NothingSent, PositionsError, ReadFailed, Sent, StoreUnavailable
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.questions import Rung, Step
from self_approval.test_client import CHOSEN
from tools.serving import data_of, error_of, text_of
from trading import Floor, Person, no, trading_floor, yes

KO = {"instruments": ["KO"]}
LATE = ("came after the plan was decided", "dismissed", "without a yes")
DISMISSED = Person("cancel", None)
EMPTY = Person(content={})


async def decides_elsewhere(floor: Floor, what: str) -> None:
    """What the desk says while the form is open; `sends`: another server then sends it at once."""
    async with floor.desk() as desk:
        operation_id = desk.store.operations()[0].operation_id
        if what == "rejects":
            await desk.supervisor.reject(operation_id, by="Ana", note="not today")
            return
        await desk.approve(operation_id)
    if what == "sends":
        await floor.sends(operation_id)


@pytest.mark.requirement("G-01", "G-06")
@pytest.mark.parametrize("elsewhere", ["approves", "sends", "rejects"])
@pytest.mark.parametrize("answered", [yes(), no(), DISMISSED, EMPTY], ids=["yes", "no", "dismissed", "without a yes"])
async def test_whatever_the_form_says_after_the_desk_the_answer_is_true(
    era: str, elsewhere: str, answered: Person, tmp_path: Path
) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.set_up()

        async def meanwhile() -> None:
            await decides_elsewhere(floor, elsewhere)

        answer = await floor.call("close_positions", KO, era=era, person=replace(answered, meanwhile=meanwhile))
        data = data_of(answer)
        # A no stops what was approved, unless the server was quicker to send it.
        stopped = elsewhere == "rejects" or (answered.action == "decline" and floor.effects == {})
        assert floor.effects == ({} if stopped else {"close_position": 1})
        assert (data["sent"], data["state"]) == (("no", "DECLINED") if stopped else ("yes", "SUBMITTED"))
        if not stopped:
            assert "othing was sent" not in text_of(answer)
            assert "desk" in data["decision"]
        if elsewhere != "approves":
            assert any(
                said in data["why"] for said in ("came after the plan was decided", "dismissed", "without a yes")
            )


@pytest.mark.one_process("puts a step of its own into the guard of the process that serves")
@pytest.mark.requirement("G-06")
async def test_a_refusal_that_comes_after_another_call_sent_the_plan_says_what_was_sent(
    era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.set_up()
        plan = data_of(await floor.call("preview_close", KO, era=era))["plan_id"]

        async def step(planned: Any, **_: object) -> Step:
            await floor.deps.guard.ask(planned.operation)
            await decides_elsewhere(floor, "sends")
            return Step(rung=Rung.REFUSE, reason="A rule refuses it.")

        monkeypatch.setattr(floor.deps.guard, "step", step)
        answer = await floor.call("close_positions", {"plan_id": plan}, era=era)
        assert data_of(answer)["state"] == "SUBMITTED"
        assert "othing was sent" not in text_of(answer)
        assert floor.effects == {"close_position": 1}


@pytest.mark.one_process("lets a reading fail in the process that serves, at one place of its code")
@pytest.mark.requirement("A-03", "G-06")
@pytest.mark.parametrize("by_plan_id", [True, False], ids=["by its id", "by the same arguments"])
@pytest.mark.parametrize(
    "error",
    [ReadFailed("It cannot be reached.", sent=Sent.NO), NothingSent("No connection."), StoreUnavailable("It is gone.")],
    ids=lambda error: type(error).__name__,
)
async def test_a_call_that_fails_while_another_server_sends_its_plan_speaks_of_itself_alone(
    era: str, error: PositionsError, by_plan_id: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.set_up()
        plan = data_of(await floor.call("preview_close", KO, era=era))["plan_id"]
        async with floor.desk() as desk:
            operation = desk.store.operation(plan)
            assert operation is not None
            await floor.deps.guard.ask(operation)

        async def to_decide(_: AccountReader, *__: object, **___: object) -> None:
            monkeypatch.undo()
            await decides_elsewhere(floor, "sends")
            raise error

        monkeypatch.setattr(AccountReader, "to_decide", to_decide)
        message = error_of(await floor.call("close_positions", {"plan_id": plan} if by_plan_id else KO, era=era))
        assert floor.effects == {"close_position": 1}
        assert message.endswith("Nothing was sent by this call; get_operation says what became of a plan under way.")
        assert message.count("othing was sent") == 1


BEFORE_THE_CLAIM = pytest.mark.one_process("asks for what only the server knows that is about to claim the plan")


@pytest.mark.parametrize(
    ("step", "state"),
    [
        pytest.param("read again", "approved, and being sent now.", marks=BEFORE_THE_CLAIM),
        ("sending journalled", "1 being sent;"),
    ],
)
async def test_a_preview_of_what_is_under_way_says_so(era: str, step: str, state: str, tmp_path: Path) -> None:
    previews = []
    async with trading_floor(tmp_path) as floor:

        async def preview() -> None:
            previews.append(await floor.call("preview_close", KO, era=era))

        floor.at[step] = preview
        sent = data_of(await floor.call("close_positions", KO, era=era, person=yes()))
        assert data_of(previews[0])["plan_id"] == sent["operation_id"]
        assert "Nothing was sent." not in text_of(previews[0])
        assert f"It is under way: PAPER account 19816: {state}" in text_of(previews[0])
        assert f"operation_id={sent['operation_id']}" in data_of(previews[0])["next"]


def live_floor(data_dir: Path) -> AbstractAsyncContextManager[Floor]:
    """Where a form may decide about real money, and asks for the account's number."""
    limits = {"wait_s": 0, "desk_above": 1_000_000}
    return trading_floor(data_dir, mode=Mode.LIVE, trading=CHOSEN, approval=limits)


@pytest.mark.requirement("G-01", "G-20")
@pytest.mark.parametrize(
    ("content", "how"),
    [
        ({"approve": True}, "not with the account number 19816"),
        ({"approve": True, "account_number": ""}, "not with the account number 19816"),
        ({"approve": True, "account_number": "1981"}, "not with the account number 19816"),
        ({"approve": True, "account_number": 19816}, "account_number was not text"),
        ({"approve": "true", "account_number": "19816"}, "approve was not true or false"),
        ({"approve": False, "account_number": "19816"}, "without a yes"),
        ({"account_number": "19816"}, "without a yes"),
    ],
)
async def test_a_form_for_real_money_is_told_as_what_it_came_back_with(
    era: str, content: dict[str, Any], how: str, tmp_path: Path
) -> None:
    async with live_floor(tmp_path) as floor:
        answer = await floor.call("close_positions", KO, era=era, person=Person(content=content))
        assert (data_of(answer)["state"], data_of(answer)["sent"]) == ("AWAITING_APPROVAL", "no")
        assert how in data_of(answer)["why"]
        noted = [entry.content["how"] for entry in await floor.journal() if entry.event == "form not answered"]
        assert how in noted[0]
        assert floor.effects == {}


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("typed", [" 19816 ", "19816\n", "\u00a019816\u00a0", "\u200b19816\ufeff", "\t19816"])
async def test_white_space_around_the_account_number_does_no_harm(era: str, typed: str, tmp_path: Path) -> None:
    async with live_floor(tmp_path) as floor:
        person = Person(content={"approve": True, "account_number": typed})
        assert data_of(await floor.call("close_positions", KO, era=era, person=person))["state"] == "SUBMITTED"


@pytest.mark.requirement("G-20")
async def test_a_no_is_a_no_whatever_stands_in_the_form(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        person = Person("decline", {"approve": True})
        assert data_of(await floor.call("close_positions", KO, era=era, person=person))["state"] == "DECLINED"
        assert floor.effects == {}


@pytest.mark.requirement("G-20")
async def test_each_showing_of_a_form_is_timed_by_itself(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        for seconds, person, how in (
            (8, DISMISSED, "The form was dismissed."),
            (0.1, no(), "declined by itself, 100 ms"),
        ):
            floor.answered_after(seconds)
            answer = await floor.call("close_positions", KO, era="legacy", person=person)
            assert data_of(answer)["state"] == "AWAITING_APPROVAL"
            assert how in data_of(answer)["why"]


@pytest.mark.requirement("G-20")
async def test_a_form_that_timed_out_is_told_as_that_and_leaves_the_plan_open(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        message = error_of(await floor.call("close_positions", KO, era="legacy", person=Person(fails="timed out")))
        assert '"timed out"' in message
        assert "approver init" in message
        noted = [entry.content["how"] for entry in await floor.journal() if entry.event == "form not answered"]
        assert '"timed out"' in noted[0]

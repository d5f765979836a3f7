"""`close_positions` through an MCP client, in both protocol eras: from the question to what is left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from tools.serving import data_of, error_of, text_of
from trading import ERAS, HOLDINGS, SATURDAY, Person, no, trading_floor, yes


@pytest.mark.requirement("G-01", "G-14", "T-02")
async def test_a_close_is_asked_about_sent_and_followed_until_nothing_is_left(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor, floor.client(era, person, "Claude") as client:
        planned = data_of(await client.call_tool("preview_close", {"instruments": ["KO"]}))
        assert planned["rows"] == [["SELL", "400", "KO", "400", "400", "27228.00"]]
        assert floor.effects == {}
        sent = await client.call_tool("close_positions", {"plan_id": planned["plan_id"]})
        assert text_of(sent).startswith("PAPER account 19816: 1 submitted; 0 of 1 flat.\n")
        assert "Submitted is not closed" in text_of(sent)
        (row,) = data_of(sent)["rows"]
        assert row[:4] == ["KO", "SUBMITTED", "SELL 400", "400"]
        with floor.exchange.reading() as moment:
            (order,) = (each for each in moment.ledger.orders.values() if each.symbol == "KO")
        assert row[4] == f"SELL 400 PENDING_NEW, order {order.id}"
        assert floor.effects == {"close_position": 1}
        floor.later(minutes=1)
        followed = await client.call_tool("get_operation", {"operation_id": planned["plan_id"], "wait_s": 1})
        assert text_of(followed).startswith("PAPER account 19816: 1 submitted; 1 of 1 flat.\n")
        assert data_of(followed)["state"] == "CLOSED"
        assert "approved" in data_of(followed)["decision"]
        assert "elicitation, client Claude" in data_of(followed)["decision"]
    assert len(person.questions) == 1


@pytest.mark.requirement("G-15")
async def test_the_question_says_everything_the_decision_needs(era: str, tmp_path: Path) -> None:
    person = no()
    async with trading_floor(tmp_path) as floor:
        arguments = {"instruments": ["KO", "GME", "MSFT"], "cancel_orders": True}
        answer = data_of(await floor.call("close_positions", arguments, era=era, person=person))
    (question,) = person.questions
    for word in (
        "PAPER account 19816 (no real money)",
        "BUY 200 GME (buys back a short)",
        "SELL 400 KO, about $27,228.00",
        "SELL 100 MSFT",
        "before fees",
        "Open orders for these instruments are CANCELLED first",
        "Market: open until 16:00 New York",
        f"Plan {answer['operation_id']}",
    ):
        assert word in question
    (form,) = person.forms
    assert form["properties"]["approve"] | {"type": "boolean", "default": False} == form["properties"]["approve"]
    assert list(form["properties"]) == ["approve"]


@pytest.mark.requirement("G-01", "G-20")
@pytest.mark.parametrize(
    ("person", "how"),
    [
        (Person(action="cancel", content=None), "The form was dismissed."),
        (Person(content=None), "without a yes"),
        (Person(content={}), "without a yes"),
        (Person(content={"yes": True}), "without a yes"),
        (Person(content={"approve": False}), "without a yes"),
        (Person(content={"approve": "true"}), "without a yes"),
        (Person(content={"approve": "yes"}), "without a yes"),
        (Person(content={"approve": 1}), "without a yes"),
    ],
    ids=lambda value: f"{value.action} {value.content}" if isinstance(value, Person) else "",
)
async def test_a_form_that_nobody_answered_is_no_decision_and_starts_no_rest(
    era: str, tmp_path: Path, person: Person, how: str
) -> None:
    async with trading_floor(tmp_path) as floor:
        asked = len(person.questions)
        for _ in range(2):
            answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=person, name="Claude")
            assert (data_of(answer)["state"], data_of(answer)["sent"]) == ("AWAITING_APPROVAL", "no")
            assert how in data_of(answer)["why"]
            assert "approver init" in data_of(answer)["why"]
            assert "decision" not in data_of(answer)
        assert len(person.questions) == asked + 2
        noted = [entry.content for entry in await floor.journal() if entry.event == "form not answered"]
        assert [each["client"] for each in noted] == ["Claude", "Claude"]
        assert floor.effects == {}


@pytest.mark.requirement("G-20")
async def test_a_form_declined_within_a_blink_is_told_as_the_clients_own_doing(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        floor.answered_after(0)
        answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=no())
        assert data_of(answer)["state"] == "AWAITING_APPROVAL"
        assert "The client declined by itself, 0 ms after it was asked." in data_of(answer)["why"]
        floor.answered_after(8)
        answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=no())
        assert data_of(answer)["state"] == "DECLINED"


@pytest.mark.one_process("makes its server forget what it showed: of three servers another one answers anyhow")
@pytest.mark.requirement("G-20")
async def test_so_is_one_that_another_server_of_the_store_showed(tmp_path: Path) -> None:
    person, pauses = no(), iter([timedelta(seconds=0.1), timedelta(seconds=1)])
    async with trading_floor(tmp_path) as floor:

        async def is_shown_elsewhere() -> None:
            floor.deps.forms._shown.clear()
            floor.clock.advance(next(pauses))

        person.meanwhile = is_shown_elsewhere
        for state in ("AWAITING_APPROVAL", "DECLINED"):
            answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=ERAS[1], person=person)
            assert data_of(answer)["state"] == state


@pytest.mark.requirement("G-22")
async def test_after_three_noes_a_caller_asks_by_a_form_no_more_until_the_desk_approves(
    era: str, tmp_path: Path
) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.set_up()
        for symbol in ("KO", "XOM", "AMZN"):
            answer = await floor.call("close_positions", {"instruments": [symbol]}, era=era, person=no())
            assert data_of(answer)["state"] == "DECLINED"
        floor.later(minutes=30)
        person = yes()
        answer = await floor.call("close_positions", {"instruments": ["JPM"]}, era=era, person=person)
        assert person.questions == []
        assert data_of(answer)["state"] == "AWAITING_APPROVAL"
        assert "said no to this caller 3 times" in data_of(answer)["why"]
        async with floor.desk() as desk:
            await desk.approve(data_of(answer)["operation_id"])
        await floor.call("close_positions", {"plan_id": data_of(answer)["operation_id"]}, era=era)
        answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=person)
        assert len(person.questions) == 1


@pytest.mark.requirement("G-22")
async def test_a_caller_has_one_form_open_at_a_time(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.set_up()
        second: list[dict[str, object]] = []

        async def another() -> None:
            answer = await floor.call("close_positions", {"instruments": ["XOM"]}, era=era, person=yes())
            second.append(data_of(answer))

        await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=Person(meanwhile=another))
        assert second[0]["state"] == "AWAITING_APPROVAL"
        assert "is still open with a person" in str(second[0]["why"])
        assert floor.effects == {"close_position": 1}


@pytest.mark.requirement("G-22")
async def test_a_form_that_was_open_when_its_call_ended_keeps_no_other_one_from_being_asked(tmp_path: Path) -> None:
    thinking = anyio.Event()

    async def think() -> None:
        thinking.set()
        await anyio.sleep_forever()

    async with trading_floor(tmp_path) as floor:
        async with anyio.create_task_group() as tasks, floor.client(ERAS[0], Person(meanwhile=think)) as client:
            tasks.start_soon(client.call_tool, "close_positions", {"instruments": ["KO"]})
            await thinking.wait()
            tasks.cancel_scope.cancel()
        assert "form not answered" in [entry.event for entry in await floor.journal()]
        person = yes()
        answer = await floor.call("close_positions", {"instruments": ["XOM"]}, era=ERAS[0], person=person)
        assert data_of(answer)["sent"] == "yes"
        assert len(person.questions) == 1


@pytest.mark.requirement("G-22")
async def test_a_form_shown_again_counts_as_open_and_a_yes_that_was_refused_as_closed(era: str, tmp_path: Path) -> None:
    answers: list[dict[str, object]] = []

    async with trading_floor(tmp_path) as floor:
        first = Person(action="cancel", content=None)
        await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=first)

        async def another() -> None:
            answers.append({"text": str((await floor.call(*_xom, era=era, person=yes())).content)})
            await floor.call("halt_trading", {"reason": "news"})

        _xom = ("close_positions", {"instruments": ["XOM"]})
        refused = await floor.call(
            "close_positions", {"instruments": ["KO"]}, era=era, person=Person(meanwhile=another)
        )
        assert "is still open with a person" in str(answers[0])
        assert refused.is_error
        assert "yes not taken" in [entry.event for entry in await floor.journal()]
        assert floor.effects == {}


@pytest.mark.requirement("G-13")
async def test_what_open_orders_lock_stays_and_is_said(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor, floor.client(era, person) as client:
        preview = text_of(await client.call_tool("preview_close", {"instruments": ["MSFT"]}))
        assert "40 of 100 MSFT are locked by open orders" in preview
        assert "With cancel_orders they would be cancelled first" in preview
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["MSFT"]}))
        assert sent["rows"][0][2] == "SELL 60"
        floor.later(minutes=1)
        left = data_of(await client.call_tool("get_operation", {"operation_id": sent["operation_id"]}))
        assert left["state"] == "PARTIAL"
        assert left["rows"][0][:4] == ["MSFT", "SUBMITTED", "SELL 60", "40"]
    assert "40 of 100 MSFT are locked" in person.questions[0]


@pytest.mark.requirement("G-14")
async def test_an_order_that_fills_in_part_is_never_called_closed(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="rough") as floor, floor.client(era, yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["THIN"]}))
        floor.later(hours=8)
        left = await client.call_tool("get_operation", {"operation_id": sent["operation_id"]})
        data = data_of(left)
        assert data["state"] == "PARTIAL"
        assert 0 < int(data["rows"][0][3]) == floor.held("THIN")
        assert "0 of 1 flat" in text_of(left)


@pytest.mark.requirement("G-14")
async def test_out_of_hours_the_order_is_queued_and_preview_and_question_say_so(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path, at=SATURDAY) as floor, floor.client(era, person) as client:
        assert "closed: may queue until Mon 2026-11-23 09:30" in text_of(
            await client.call_tool("preview_close", {"instruments": ["KO"]})
        )
        sent = await client.call_tool("close_positions", {"instruments": ["KO"]})
        assert text_of(sent).startswith("PAPER account 19816: 1 queued; 0 of 1 flat.\n")
        assert data_of(sent)["rows"][0][1] == "QUEUED"
        said = data_of(sent)["next"]
        assert said.startswith("Queued orders wait for their release at 2026-11-23 09:30:00 New York: ask again then")
        assert "wait_s" not in said
        assert "a new close of the same with cancel_orders=true cancels it first" in said
        refused = error_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        assert "cancel_orders=true cancels the orders first" in refused
    assert "closed: may queue until Mon 2026-11-23 09:30" in person.questions[0]


@pytest.mark.requirement("G-02")
async def test_an_order_that_differs_from_the_plan_is_said_first(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        floor.exchange.arm("changed_quantity", "close_position")
        answer = await floor.call("close_positions", {"instruments": list(HOLDINGS)}, era=era, person=yes())
        assert text_of(answer).startswith("PAPER account 19816: 1 DEVIATED from the plan, 2 not sent; 0 of 3 flat.\n")
        assert [row[1] for row in data_of(answer)["rows"]] == ["DEVIATED", "NOT_SENT", "NOT_SENT"]
        assert floor.effects == {"close_position": 1}


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize("quantity", [401, -400])
async def test_a_position_that_grew_or_turned_meanwhile_makes_the_plan_stale(
    era: str, tmp_path: Path, quantity: int
) -> None:
    async with trading_floor(tmp_path) as floor:

        async def trade() -> None:
            floor.hold("KO", quantity)

        answer = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=Person(meanwhile=trade))
        assert data_of(answer)["state"] == "STALE"
        assert text_of(answer).startswith("PAPER account 19816: nothing was sent; the account changed")
        assert floor.effects == {}


@pytest.mark.requirement("G-05")
async def test_an_unknown_outcome_stops_the_batch_and_is_reconciled_with_evidence(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        floor.exchange.arm("drop_after_effect", "close_position")
        sent = await client.call_tool("close_positions", {"instruments": list(HOLDINGS)})
        data = data_of(sent)
        assert floor.effects == {"close_position": 1}
        assert data["state"] == "RECONCILED"
        assert text_of(sent).startswith(
            "PAPER account 19816: 1 with an unknown outcome that was settled, 2 not sent; 0 of 3 flat."
        )
        assert [row[1] for row in data["rows"]] == ["UNKNOWN", "NOT_SENT", "NOT_SENT"]
        assert data["rows"][0][-1].startswith("The request may have been sent and its outcome is not known: ")
        assert (
            ". Settled: took effect (positions-mcp): An order for AMZN appeared after it was sent"
            in data["rows"][0][-1]
        )


@pytest.mark.requirement("G-05")
async def test_an_outcome_that_stays_unknown_is_said_to_be_and_not_sent_again(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        floor.exchange.arm("drop_before_effect", "close_position")
        sent = await client.call_tool("close_positions", {"instruments": list(HOLDINGS)})
        assert text_of(sent).startswith("PAPER account 19816: 1 with UNKNOWN outcome, 2 not sent; 0 of 3 flat.")
        assert data_of(sent)["sent"] == "unknown"
        assert "Do not send it again" in data_of(sent)["next"]
        again = error_of(await client.call_tool("close_positions", {"instruments": ["AMZN"]}))
        assert f"Operation {data_of(sent)['operation_id']} has an unknown outcome and holds the instrument" in again
        listed = data_of(await client.call_tool("list_operations", {}))
        assert listed["in_doubt"] == [data_of(sent)["operation_id"]]
        assert data_of(await client.call_tool("get_trading_status", {}))["in_doubt"] == listed["in_doubt"]
        assert floor.effects == {}


@pytest.mark.requirement("G-12")
async def test_a_plan_that_would_uncover_a_short_call_is_refused_and_nobody_is_asked(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor:
        message = error_of(await floor.call("close_positions", {"instruments": ["AAPL"]}, era=era, person=person))
        assert "would leave 3 more short AAPL calls uncovered" in message
        assert message.count("Nothing was sent") == 1
        assert floor.effects == {}
    assert person.questions == []


@pytest.mark.requirement("G-10")
async def test_a_limit_refuses_with_the_limit_and_the_value_seen(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, trading={"max_notional": "20000"}) as floor:
        message = error_of(await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=yes()))
        assert "Notional $27,228.00 exceeds the limit of $20,000 per operation." in message
        assert floor.effects == {}

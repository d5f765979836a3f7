"""What one caller has asked for is found by an index, whatever else is stored and in both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import pytest

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.servers import NOT_ANSWERED, NOT_TAKEN, SHOWN_AGAIN, Server, by_form
from positions_mcp.domain.operation.states import Stage
from positions_mcp.ports import Ledger
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, MINUTE, NOW, approved, claimed, lease_until, plan_of, planned, yes_to
from store.watching import asked_of, steps_of

OTHER = AccountId(19817)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def of(name: str, *, at: datetime = NOW, **changes: object) -> Plan:
    return plan_of(name, at=at).changed(**changes)


def declined(store: SqlOperationStore, plan: Plan) -> Operation:
    operation = planned(store, plan)
    at = plan.created_at
    store.move(plan.plan_id, expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=at)
    return store.decide(yes_to(operation, at=at, approved=False), at)


def preview_approved(store: SqlOperationStore, plan: Plan) -> Operation:
    yes = yes_to(planned(store, plan)).changed(
        channel=Channel.DESK, signature="00", of_preview=True, expires_at=plan.expires_at
    )
    return store.decide(yes, plan.created_at)


def decided(store: SqlOperationStore, *, declined: bool, accounts: Sequence[AccountId] = (ACCOUNT, OTHER)) -> set[str]:
    found = store.decided_for(Mode.PAPER, accounts, "tester", NOW - DAY, declined=declined)
    return {each.operation_id for each in found}


@pytest.mark.requirement("G-22")
def test_noes_and_yeses_are_those_of_one_caller_in_its_accounts_since_then(store: SqlOperationStore) -> None:
    declined(store, of("no"))
    declined(store, of("no elsewhere", account_id=OTHER))
    declined(store, of("no before", at=NOW - 2 * DAY))
    declined(store, of("no to another", caller="another"))
    approved(store, of("yes"))
    claimed(store, of("yes, taken"), lease=lease_until(token="claim-2"))
    preview_approved(store, of("yes to a preview"))
    planned(store, of("undecided"))
    assert decided(store, declined=True) == {"no", "no elsewhere"}
    assert decided(store, declined=True, accounts=[OTHER]) == {"no elsewhere"}
    assert decided(store, declined=False) == {"yes", "yes, taken", "yes to a preview"}


@pytest.mark.requirement("G-06")
def test_open_plans_are_those_of_one_caller_in_one_account_the_newest_first(store: SqlOperationStore) -> None:
    for number in range(3):
        planned(store, of(f"open {number}", at=NOW + number * MINUTE))
    planned(store, of("elsewhere", account_id=OTHER))
    planned(store, of("another's", caller="another"))
    planned(store, of("live", mode=Mode.LIVE))
    planned(store, of("over", at=NOW - 6 * MINUTE))
    approved(store, of("decided"))
    found = store.open_plans_for(Mode.PAPER, ACCOUNT, "tester", NOW + 2 * MINUTE)
    assert [each.operation_id for each in found] == ["open 2", "open 1", "open 0"]


def asked(store: SqlOperationStore, plan: Plan, *, process: str | None = "") -> Operation:
    """Put before a person by a form, which ends with that server; by none where it is None."""
    operation = planned(store, plan)
    told = by_form(process) if process is not None else None
    move = partial(store.move, expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="")
    return move(operation.operation_id, now=plan.created_at, content=told)


def test_a_form_is_open_until_it_comes_back_or_its_plan_is_decided_or_over(
    opened: Callable[[], SqlOperationStore],
) -> None:
    store, other = opened(), opened()
    for name, changes in {"open": {}, "elsewhere": {"account_id": OTHER}, "another's": {"caller": "another"}}.items():
        asked(store, of(name, **changes))
    asked(store, of("live", mode=Mode.LIVE))
    asked(store, of("at the desk"), process=None)
    asked(store, of("over", at=NOW - 6 * MINUTE))
    store.decide(yes_to(asked(store, of("decided"))), NOW)
    for event in (NOT_ANSWERED, NOT_TAKEN):
        store.note(event, asked(store, of(event)).operation_id, {"how": "closed"}, NOW)
    store.note(NOT_ANSWERED, asked(store, of("again")).operation_id, {}, NOW)
    store.note(SHOWN_AGAIN, "again", by_form(""), NOW)
    store.note(SHOWN_AGAIN, "at the desk", by_form(""), NOW)
    assert set(other.open_forms(Mode.PAPER, "tester", NOW)) == {"open", "elsewhere", "again", "at the desk"}
    assert other.open_forms(Mode.PAPER, "another", NOW) == {"another's": {""}}
    assert other.open_forms(Mode.PAPER, "tester", NOW + 5 * MINUTE) == {}


def alive(process: str, until: datetime) -> Server:
    return Server(process=process, mode=Mode.PAPER, accounts=(ACCOUNT,), sends=True, until=until)


@pytest.mark.requirement("G-22")
def test_a_form_that_ends_with_its_server_is_open_for_as_long_as_that_is_alive(store: SqlOperationStore) -> None:
    store.announce(alive("a", NOW + MINUTE), NOW)
    store.announce(alive("b", NOW + 2 * MINUTE), NOW)
    for name, process in {"of a": "a", "of both": "a", "of none": "", "of one that never said so": "c"}.items():
        asked(store, of(name), process=process)
    store.note(SHOWN_AGAIN, "of both", by_form("b"), NOW)
    store.note(NOT_ANSWERED, asked(store, of("closed"), process="a").operation_id, {}, NOW)
    open_forms = partial(store.open_forms, Mode.PAPER, "tester")
    assert open_forms(NOW) == {"of a": {"a"}, "of both": {"a", "b"}, "of none": {""}}
    assert open_forms(NOW + MINUTE + SECOND) == {"of both": {"b"}, "of none": {""}}
    slept = open_forms(NOW + MINUTE + SECOND, asking="a")
    assert slept == {"of a": {"a"}, "of both": {"a", "b"}, "of none": {""}}, "who asks lives, though its machine slept"
    store.withdraw("b")
    assert open_forms(NOW) == {"of a": {"a"}, "of both": {"a"}, "of none": {""}}


@pytest.mark.requirement("G-22")
def test_of_two_servers_that_ask_at_once_for_one_caller_one_does(opened: Callable[[], SqlOperationStore]) -> None:
    stores, both = [opened(), opened()], threading.Barrier(2)
    plans = [planned(stores[0], of(name, account_id=account)) for name, account in (("a", ACCOUNT), ("b", OTHER))]

    def one_at_a_time(ledger: Ledger, operation: Operation) -> None:
        if ledger.open_forms(Mode.PAPER, operation.plan.caller, NOW):
            raise Refused("another one is open")

    def ask(number: int) -> bool:
        both.wait()
        move = partial(stores[number].move, expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=NOW)
        with suppress(Refused):
            move(plans[number].operation_id, ration=one_at_a_time, content=by_form(""))
            return True
        return False

    with ThreadPoolExecutor(2) as at_once:
        assert sorted(at_once.map(ask, range(2))) == [False, True]
    assert len(stores[0].open_forms(Mode.PAPER, "tester", NOW)) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.decided_for(Mode.PAPER, [ACCOUNT, OTHER], "tester", NOW, declined=True),
        lambda store: store.decided_for(Mode.PAPER, [ACCOUNT, OTHER], "tester", NOW, declined=False),
        lambda store: store.open_plans_for(Mode.PAPER, ACCOUNT, "tester", NOW),
        lambda store: store.open_forms(Mode.PAPER, "tester", NOW),
    ],
    ids=["noes", "yeses", "open plans", "open forms"],
)
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_none_of_it_walks_through_all_operations(
    store: SqlOperationStore, ask: Callable[[SqlOperationStore], object]
) -> None:
    with asked_of(store) as statements:
        ask(store)
    steps = steps_of(store, statements)
    assert steps
    assert not [step for step in steps if step.startswith("SCAN")], steps

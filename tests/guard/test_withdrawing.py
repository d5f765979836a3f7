"""A person halts and withdraws: own unfilled closes are cancelled, each once, and told for what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from guard.desk import AAPL, CALLER, MSFT, PASSPHRASE, POLICY, Desk, desk
from guard.exchange import ACCOUNT, raising
from guard.test_two_persons import BEN, change, two_people
from guard.withdrawals import offered, withdraw
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import (
    InvalidInput,
    NothingSent,
    OutcomeUnknown,
    Overtaken,
    PositionsError,
    Refused,
    RequestRejected,
    StoreUnavailable,
)
from positions_mcp.domain.operation.roster import Rights
from positions_mcp.domain.operation.statements import Purpose, SignedStatement
from positions_mcp.domain.operation.supervision import Halt, Trade
from positions_mcp.guard.cancelling import Withdrawal, Withdrawn
from positions_mcp.guard.enrolling import changing_member
from positions_mcp.signing.statements import signer

pytestmark = pytest.mark.requirement("G-24")


async def halted(it: Desk, **scope: object) -> tuple[Halt, ...]:
    await it.supervisor.halt("news", by="Ana", **scope)
    return it.store.halts()


async def withdrawn(it: Desk, halts: Sequence[Halt] | None = None, passphrase: str = PASSPHRASE) -> list[Withdrawn]:
    if it.store.rosters().roster is None:
        await it.supervisor.set_up_approver(PASSPHRASE)
    halts = halts or await halted(it)
    offer = await offered(it.parts, halts)
    return list(await withdraw(it.parts, halts, offer, passphrase)) if offer.own else []


def outcomes(report: Sequence[Withdrawn]) -> dict[str, Withdrawal]:
    return {row.symbol: row.outcome for row in report}


def cancels(it: Desk) -> list[str]:
    return [request for request in it.exchange.requests if request.startswith("cancel ")]


async def test_own_open_orders_are_cancelled_one_by_one_and_each_is_journalled_before_it_leaves(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL", "MSFT")
        seen: list[list[str]] = []
        it.exchange.on_write = lambda _: seen.append([e for e in it.events() if e.startswith("order cancel")])
        report = await withdrawn(it)
        assert outcomes(report) == {"AAPL": Withdrawal.CANCELLED, "MSFT": Withdrawal.CANCELLED}
        assert len(cancels(it)) == len(set(cancels(it))) == 2
        assert all("order cancel sending" in journalled for journalled in seen)
        assert sorted(e for e in it.events() if e.startswith("order cancel")) == [
            *["order cancel outcome"] * 2,
            *["order cancel sending"] * 2,
        ]
        assert it.store.verify().intact
        (operation, _) = await it.supervisor.follow(report[0].operation_id)
        assert not any(order.is_open for row in operation.rows for order in row.orders)
        assert await withdrawn(it) == []
        assert len(cancels(it)) == 2


async def test_orders_of_others_of_a_flatten_and_outside_of_the_halt_stay(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["TSLA"], by="root")
        await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
        foreign = it.exchange._order(it.exchange.positions[it.exchange.positions.keys().__iter__().__next__()])
        for scope in ({"account_id": 7}, {"caller": "another"}, {"kind": Trade.EXERCISE}):
            halts = await halted(it, **scope)
            assert await withdrawn(it, [halts[-1]]) == []
        assert cancels(it) == []
        assert outcomes(await withdrawn(it, [(await halted(it, caller=CALLER))[-1]])) == {"AAPL": Withdrawal.CANCELLED}
        assert it.exchange.orders[foreign.id].is_open
        assert len(cancels(it)) == 1


async def test_what_filled_meanwhile_is_told_as_filled_and_nothing_is_sent_for_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL", "MSFT")
        it.exchange.fill(AAPL)
        it.exchange.fill(MSFT, 4)
        report = await withdrawn(it)
        assert outcomes(report) == {"AAPL": Withdrawal.FILLED, "MSFT": Withdrawal.PARTLY_FILLED}
        assert "4 of 10 had filled" in report[1].detail
        assert len(cancels(it)) == 1


async def test_a_fill_that_beats_the_cancel_is_told_as_filled(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")

        async def late_fill() -> None:
            it.exchange.fill(AAPL)

        it.exchange.before.append(late_fill)
        assert outcomes(await withdrawn(it)) == {"AAPL": Withdrawal.FILLED}
        assert len(cancels(it)) == 1


LOST = [OutcomeUnknown("The connection broke."), OutcomeUnknown("HTTP 500"), RuntimeError("cut")]


@pytest.mark.parametrize("error", LOST, ids=str)
@pytest.mark.parametrize("arrived", [True, False])
async def test_an_unknown_outcome_is_looked_for_written_down_and_never_sent_again(
    tmp_path: Path, error: Exception, arrived: bool
) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        (it.exchange.after if arrived else it.exchange.before).append(raising(error))
        expected = Withdrawal.CANCELLED if arrived else Withdrawal.UNKNOWN
        assert outcomes(await withdrawn(it)) == {"AAPL": expected}
        again = await withdrawn(it)
        assert outcomes(again) == ({} if arrived else {"AAPL": Withdrawal.UNKNOWN})
        assert arrived or "not sent again" in again[0].detail
        assert len(cancels(it)) == 1
        (told,) = [entry for entry in it.store.journal() if entry.event == "order cancel outcome"]
        assert str(told.content["outcome"]).startswith(Withdrawal.UNKNOWN)


async def test_what_provably_did_not_leave_may_be_sent_the_next_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        it.exchange.before.append(raising(NothingSent("no route")))
        assert outcomes(await withdrawn(it)) == {"AAPL": Withdrawal.NOT_SENT}
        assert outcomes(await withdrawn(it)) == {"AAPL": Withdrawal.CANCELLED}


async def test_a_refusal_is_told_with_its_words(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        it.exchange.before.append(raising(RequestRejected("not for this account", status=403)))
        (row,) = await withdrawn(it)
        assert (row.outcome, row.detail) == (Withdrawal.REFUSED, "not for this account")


async def test_a_close_without_a_known_order_is_named_and_not_guessed_at(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before.append(raising(OutcomeUnknown("The connection broke.")))
        await it.close("AAPL")
        (row,) = await withdrawn(it)
        assert (row.outcome, row.order_id) == (Withdrawal.NO_ORDER, None)
        assert cancels(it) == []


@pytest.mark.parametrize("outcome_lost", [False, True])
async def test_a_process_that_dies_after_the_entry_has_left_it_and_nobody_sends_it_again(
    tmp_path: Path, outcome_lost: bool
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.close("AAPL")
        (order,) = operation.rows[0].orders
        it.store.begin_withdrawal(operation.operation_id, order.order_id, "Ana", it.clock.now())
        if not outcome_lost:
            it.store.end_withdrawal(
                operation.operation_id, order.order_id, Withdrawal.UNKNOWN, sent=True, now=it.clock.now()
            )
        assert outcomes(await withdrawn(it)) == {"AAPL": Withdrawal.UNKNOWN}
        assert cancels(it) == []


async def test_two_that_withdraw_at_once_send_each_cancel_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL", "MSFT", "TSLA")
        await it.supervisor.set_up_approver(PASSPHRASE)
        halts = await halted(it)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(withdrawn, it, halts)
        assert len(cancels(it)) == len(set(cancels(it))) == 3


async def test_only_an_order_of_the_operation_is_ever_journalled(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        first, second = await it.close("AAPL"), await it.close("MSFT")
        (order,) = second.rows[0].orders
        with pytest.raises(Refused, match="none of operation"):
            it.store.begin_withdrawal(first.operation_id, order.order_id, "Ana", it.clock.now())
        it.store.begin_withdrawal(second.operation_id, order.order_id, "Ana", it.clock.now())
        with pytest.raises(Overtaken):
            it.store.begin_withdrawal(second.operation_id, order.order_id, "Ana", it.clock.now())


@pytest.mark.parametrize("passphrase", ["", "not the passphrase"])
async def test_without_the_passphrase_nothing_is_cancelled_and_it_stays_halted(tmp_path: Path, passphrase: str) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        with pytest.raises(PositionsError):
            await withdrawn(it, passphrase=passphrase)
        assert it.store.halts()
        assert cancels(it) == []


async def test_without_an_approver_or_where_orders_cannot_be_cancelled_it_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        halts = await halted(it)
        with pytest.raises(Refused, match="no approver"):
            await offered(it.parts, halts)
        await it.supervisor.set_up_approver(PASSPHRASE)
        offer = await offered(it.parts, halts)
        with pytest.raises(Refused, match="cannot be cancelled here"):
            await withdraw(replace(it.parts, order_canceller=None), halts, offer)
        assert cancels(it) == []


@pytest.mark.parametrize("error", [StoreUnavailable("disk is full"), InvalidInput("There is no operation.")])
async def test_a_store_that_cannot_be_written_or_has_lost_the_operation_lets_nothing_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: PositionsError
) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        halts = await halted(it)

        def full(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(it.store, "begin_withdrawal", full)
        (row,) = await withdrawn(it, halts)
        assert (row.outcome, row.detail) == (Withdrawal.NOT_SENT, error.message)
        assert cancels(it) == []


async def test_where_orders_cannot_be_read_it_is_cancelled_all_the_same_and_not_called_done(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        it.exchange.orders_fail = True
        assert outcomes(await withdrawn(it)) == {"AAPL": Withdrawal.ASKED}
        it.exchange.orders_fail = False
        assert {order.status for order in it.exchange.orders.values()} == {OrderStatus.CANCELED}


@pytest.mark.requirement("D-01", "D-02")
async def test_only_what_was_shown_is_cancelled_and_only_while_it_is_halted(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.close("AAPL")
        halts = await halted(it, caller=CALLER)
        shown = await offered(it.parts, halts)
        await it.supervisor.resume(PASSPHRASE, by="Ana")
        await it.close("MSFT")
        with pytest.raises(Refused, match="No halt covers"):
            await withdraw(it.parts, (), shown)
        halts = await halted(it)
        assert outcomes(await withdraw(it.parts, halts, shown)) == {"AAPL": Withdrawal.CANCELLED}
        assert outcomes(await withdraw(it.parts, halts, shown)) == {"AAPL": Withdrawal.ENDED}
        assert len(cancels(it)) == 1
        foreign = replace(shown.own[0], order=(await offered(it.parts, halts)).own[0].order)
        with pytest.raises(Refused, match="none of operation"):
            await withdraw(it.parts, halts, replace(shown, own=(foreign,)))
        assert len(cancels(it)) == 1


@pytest.mark.requirement("D-05")
async def test_who_may_not_approve_in_an_account_withdraws_nothing_there_and_the_signature_says_who_did(
    tmp_path: Path,
) -> None:
    async with two_people(tmp_path, POLICY, approves=Decimal(0)) as it:
        await it.close("AAPL")
        halts = await halted(it)
        assert (await offered(it.parts, halts, "Ben")).own == ()
        assert (await offered(it.parts, halts, "Ben")).others == 1
        shown = await offered(it.parts, halts, "Ana")
        with pytest.raises(Refused, match="Ben may not withdraw in account"):
            await withdraw(it.parts, halts, shown, BEN, "Ben")
        with pytest.raises(Refused, match="passphrase"):
            await withdraw(it.parts, halts, shown, BEN, "Ana")
        assert cancels(it) == []
        await change(it, changing_member("Ben", rights=(Rights(approves=Decimal(1)),)))
        assert outcomes(await withdraw(it.parts, halts, shown, BEN, "Ben")) == {"AAPL": Withdrawal.CANCELLED}
        (entry,) = [each for each in it.store.journal() if each.event == "withdrawal signed"]
        signed = SignedStatement.model_validate(entry.content["signed"])
        assert signer(it.store.rosters().roster, signed).name == "Ben"
        assert (signed.statement.purpose, signed.statement.digest) == (Purpose.WITHDRAWAL, shown.digest)


@pytest.mark.parametrize("by", ["nobody", "a store that cannot be written"])
async def test_what_is_not_signed_in_the_journal_is_not_cancelled(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")

        def full(*_: object, **__: object) -> None:
            raise StoreUnavailable("disk is full")

        if by == "nobody":
            with pytest.raises(Refused, match="no approver"):
                await offered(it.parts, await halted(it))
        else:
            monkeypatch.setattr(it.store, "sign_withdrawal", full)
            with pytest.raises(StoreUnavailable):
                await withdrawn(it)
        assert cancels(it) == []

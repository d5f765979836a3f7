"""What may be decided as it was shown, whatever it is signed with: a plan, a halt, the outcome of a row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Conclusion, Operation, Resolution, Row
from positions_mcp.domain.operation.plan import Plan, key_of
from positions_mcp.domain.operation.supervision import Halt, may_be_called
from positions_mcp.domain.text import clean, quoted
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.reconcile import Reconciler
from positions_mcp.ports import OperationStore


async def to_approve(deps: Dependencies, operation_id: str, shown: str | None) -> Operation:
    """The plan that was shown, where it can still be approved. Raises Refused."""
    await Reconciler(deps).note_time()
    operation, now = await deps.operation(operation_id), deps.clock.now()
    check_digest(operation, shown)
    if operation.plan.flatten:
        raise Refused(f"Operation {operation_id} is a person's own: only who planned it sends it.")
    if not operation.stage.is_open or operation.plan.is_expired(now):
        raise Refused(f"Operation {operation_id} is {operation.state(now)}: nothing to approve.")
    return operation


def to_resume(standing: Sequence[Halt], shown: str | None) -> tuple[Halt, ...]:
    """The halts that were shown: by `digest_of_halt`, by `digest_of_halts`, or all. Raises Refused."""
    if not standing:
        raise Refused("Nothing is halted.")
    if shown in (None, digest_of_halts(standing)):
        return tuple(standing)
    meant = tuple(halt for halt in standing if digest_of_halt(halt) == shown)
    if not meant:
        raise Refused("The halt is another one than was shown.", hint="It stands. Look at it again.")
    return meant


def to_settle(operation: Operation, row_of: str | int, conclusion: Conclusion, shown: str | None) -> Row:
    """The row that was shown, where there is something to settle.

    Raises InvalidInput where there is no such row, Refused where it is not what was shown or needs no settling.
    """
    row = _row_called(operation, row_of)
    symbol = operation.plan.targets[row.position].symbol
    if shown not in (None, digest_of_row(operation, row)):
        raise Refused(
            f"What is known of {symbol} in {operation.operation_id} has changed since it was shown.",
            hint="Nothing was settled. Look at it again.",
        )
    if not row.is_in_doubt and not _is_in_flight(row, conclusion):
        raise Refused(
            f"{symbol} in {operation.operation_id} is {row.state}: there is nothing to settle.",
            hint="Nothing was settled.",
        )
    return row


def settled(row: Row, conclusion: Conclusion, *, by: str, evidence: str, now: datetime) -> Row:
    if _is_in_flight(row, conclusion):
        return row.changed(
            ended=True, detail=f"{row.detail} Settled by {clean(by, 60)}: {quoted(evidence, 300)}".strip()
        )
    resolution = Resolution(
        conclusion=conclusion, by=clean(by, 60), evidence=clean(evidence, 300), at=now, by_person=True
    )
    return row.changed(resolution=resolution, ended=conclusion is Conclusion.DID_NOT)


def check_digest(operation: Operation, shown: str | None) -> None:
    """Raise Refused unless it is the plan that was shown."""
    if shown not in (None, operation.plan.digest):
        raise Refused(
            f"Operation {operation.operation_id} is not the plan that was shown.",
            hint="Nothing was decided. The store was altered: run `positions-mcp operations verify`.",
        )


def digest_of_row(operation: Operation, row: Row) -> str:
    """The same as long as what is known of a row says the same; when it was last looked at does not count."""
    return key_of("row", operation.plan.digest, row.model_dump(mode="json", exclude={"observed_at"}))


def digest_of_halt(halt: Halt) -> str:
    return key_of("halt", halt.model_dump(mode="json"))


def digest_of_halts(halts: Sequence[Halt]) -> str:
    return key_of("halts", *(halt.model_dump(mode="json") for halt in halts))


def _is_in_flight(row: Row, conclusion: Conclusion) -> bool:
    return row.has_effect and not row.ended and conclusion is Conclusion.TOOK_EFFECT


def _row_called(operation: Operation, name: str | int) -> Row:
    if isinstance(name, int):
        if 0 <= name < len(operation.rows):
            return operation.rows[name]
        raise InvalidInput(f"Operation {operation.operation_id} has no row {name + 1}.", hint="Nothing was settled.")
    named = [row for target, row in zip(operation.plan.targets, operation.rows, strict=True) if target.goes_by(name)]
    if len({operation.plan.targets[row.position].instrument_id for row in named}) > 1:
        raise InvalidInput(f"Several of its instruments are called {quoted(name, 60)}.", hint="Name the id of one.")
    # A batch may instruct one contract twice: by name, the row meant is one that is not settled yet.
    for row in sorted(named, key=lambda row: not row.is_in_doubt):
        return row
    raise InvalidInput(f"Operation {operation.operation_id} has no row of that name.", hint="Name its symbol.")


_LATEST = 500
"""Operations that are looked at for callers of a name."""


def doubt_about(store: OperationStore, halts: Sequence[Halt], known: frozenset[AccountId]) -> str:
    """A warning where halts name a caller or an account of which nothing is known here; empty where they do not."""
    names = {halt.caller for halt in halts if halt.caller}
    accounts = {halt.account_id for halt in halts if halt.account_id is not None} - known
    if not (names or accounts):
        return ""
    try:
        seen = [operation.plan for operation in store.operations(limit=_LATEST)]
    except Exception:  # it is halted, whatever cannot be read beside
        return ""
    return " ".join([*_about_callers(names, seen), *_about_accounts(accounts, known, seen)])


def _about_callers(names: Collection[str], seen: Sequence[Plan]) -> Iterator[str]:
    callers = sorted({plan.caller for plan in seen})
    for name in sorted(names):
        if not any(may_be_called(caller, name) for caller in callers):
            who = ", ".join(callers) or "nobody"
            yield f"CHECK THE NAME: no caller {name} has asked for anything here yet. Who has: {who}."


def _about_accounts(
    accounts: Collection[AccountId], known: Collection[AccountId], seen: Sequence[Plan]
) -> Iterator[str]:
    those = {plan.account_id for plan in seen} | set(known)
    for account in sorted(set(accounts) - those):
        which = ", ".join(map(str, sorted(those))) or "none"
        yield f"CHECK THE ACCOUNT: nothing is known here of account {account}. Known: {which}."

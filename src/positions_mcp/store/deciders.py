"""Who may decide, as the journal has it, and what they have said yes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache

from sqlalchemy import Connection, select

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import RosterLink
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.store import journal, records
from positions_mcp.store.schema import decisions, rows
from positions_mcp.store.schema import journal as journal_table

FIRST_YES = "first yes"


@lru_cache(maxsize=8)
def chain_of(
    approvers_told: Sequence[str], links_told: Sequence[str], approver: str | None, roster: str | None
) -> RosterChain:
    """Everybody who ever could decide, of what the journal says; the last of each is the value that is stored.

    Raises StoreUnavailable where a roster was not signed by who may.
    """
    try:
        approvers = tuple(Approver.model_validate(json.loads(text)["approver"]) for text in approvers_told)
        links = tuple(RosterLink.model_validate(json.loads(text)["link"]) for text in links_told)
        held = Approver.model_validate_json(approver) if approver else None
        link = RosterLink.model_validate_json(roster) if roster else None
    except (KeyError, TypeError, ValueError) as error:
        raise journal.broken("an approver cannot be read") from error
    if held != (approvers[-1] if approvers else None) or link != (links[-1] if links else None):
        raise journal.broken("the approver is not as it was written")
    chain = RosterChain(approvers, links)
    if why := chain.why_broken():
        raise journal.broken(why)
    return chain


def first_yes(connection: Connection, operation_id: str) -> SignedStatement | None:
    """What the first of two people has signed of an operation; None where nobody has."""
    latest = (
        select(journal_table.c.content)
        .where(journal_table.c.operation_id == operation_id, journal_table.c.event == FIRST_YES)
        .order_by(journal_table.c.sequence.desc())
        .limit(1)
    )
    stored = connection.execute(latest).scalar_one_or_none()
    try:
        return None if stored is None else SignedStatement.model_validate(json.loads(stored)["signed"])
    except (ValueError, KeyError) as error:
        raise journal.broken(f"the first yes to {operation_id} cannot be read") from error


def approved_by(
    connection: Connection, name: str, mode: Mode, account_id: AccountId, day: date, *, beside: str
) -> Decimal:
    """Dollars sent on somebody's word on a day beside those of one operation; of what is being sent, all of it."""
    sent = select(rows.c.reserved, decisions.c.content).join(decisions, decisions.c.operation_id == rows.c.operation_id)
    others = sent.where(rows.c.mode == mode, rows.c.account_id == account_id, rows.c.operation_id != beside)
    found = connection.execute(others.where(rows.c.reserved_on == day.isoformat())).all()
    contents = {row.content for row in found}
    theirs = {each for each in contents if name in Decision.model_validate_json(each).on_word_of}
    reserved = (Decimal(row.reserved) for row in found if row.content in theirs)
    under_way = records.BEING_SENT.read(connection, mode=mode.value, account_id=account_id, beside=beside)
    return exact_sum(
        [*reserved, *(_left_of(each) for each in under_way if each.decision and name in each.decision.on_word_of)]
    )


def _left_of(operation: Operation) -> Decimal:
    unsent = (row.position for row in operation.rows if row.state is RowState.NOT_SENT)
    return exact_sum(operation.plan.targets[position].measure for position in unsent)

"""What `--json` prints of operations, halts, approvers, mandates and the journal; docs/commands.md has it.

A name is never taken away or given another meaning; names may be added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.operation import Operation, SentOrder
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Credential, Passkey
from positions_mcp.domain.operation.supervision import Halt, JournalEntry
from positions_mcp.domain.text import clean
from positions_mcp.guard.delegating import Shadow
from positions_mcp.guard.reports import OperationReport, TargetReport
from positions_mcp.signing.rosters import RosterChain

Shape = dict[str, Any]


def halt_shape(halt: Halt) -> Shape:
    """A halt that stands; null where nothing narrows it."""
    return {
        "reason": halt.reason,
        "by": halt.by,
        "at": halt.at,
        "account_id": halt.account_id,
        "caller": halt.caller or None,
        "kind": halt.kind,
    }


def operation_shape(operation: Operation, now: datetime) -> Shape:
    plan, rows = operation.plan, operation.rows
    return {
        "operation_id": operation.operation_id,
        "mode": plan.mode,
        "account_id": operation.account_id,
        "kind": plan.kind,
        "state": operation.state(now),
        "caller": plan.caller,
        "policy": plan.policy or None,
        "rights": list(plan.rights),
        "symbols": [target.symbol for target in plan.targets],
        "notional": plan.measure,
        "notional_is_complete": all(target.priced for target in plan.targets),
        "targets": len(rows),
        "flat": sum(row.is_flat for row in rows),
        "in_doubt": sum(row.is_in_doubt for row in rows),
        "created_at": plan.created_at,
        "expires_at": plan.expires_at,
        "updated_at": operation.updated_at,
    }


def report_shape(report: OperationReport, question: str, journal: Iterable[JournalEntry]) -> Shape:
    """What `operations show` says beyond that row."""
    return {
        "question": question,
        "headline": report.headline,
        "decision": report.decision or None,
        "reason": report.reason or None,
        "next_step": report.next_step,
        "anything_sent": report.anything_sent,
        "cancel_orders": report.cancel_orders,
        "not_followed": report.not_followed or None,
        "rows": [_row(row) for row in report.rows],
        "journal": [_entry(entry) for entry in journal],
    }


def _row(row: TargetReport) -> Shape:
    return {
        "symbol": row.symbol,
        "state": row.state,
        "planned": row.planned,
        "residual": row.residual,
        "detail": row.detail or None,
        "instruction_id": row.instruction_id,
        "resolution": row.resolution or None,
        "orders": [_order(order) for order in row.orders],
    }


def _order(order: SentOrder) -> Shape:
    names = ("order_id", "status", "side", "quantity", "filled", "average_price", "releases_at")
    return {name: getattr(order, name) for name in names}


def told_of(entry: JournalEntry) -> dict[str, str]:
    """Who did what an entry says, with which credential, where, and why: as far as it says."""
    content: Mapping[str, Any] = entry.content
    told = {name: content.get(name, "") for name in ("channel", "by", "origin", "note", "process", "reason")}
    if said := (content.get("signed") or {}).get("statement"):
        told |= {"by": f"{said['name']} {said['credential']}", "origin": said["origin"], "note": said["note"]}
    return {name: clean(str(value), 300) for name, value in told.items() if value}


def _entry(entry: JournalEntry) -> Shape:
    return {"sequence": entry.sequence, "at": entry.at, "event": entry.event, "hash": entry.hash} | told_of(entry)


def mandate_shape(standing: Standing, state: str, why_not_signed: str) -> Shape:
    """A mandate or draft as one row of a list."""
    mandate, terms = standing.mandate, standing.mandate.terms
    window, revoked = mandate.window, mandate.revoked
    return {
        "mandate_id": mandate.mandate_id,
        "state": state,
        **terms.model_dump(),
        "until": None if terms.until is None else f"{terms.until:%H:%M}",
        "drafted_by": mandate.drafted_by,
        "drafted_at": mandate.drafted_at,
        "shadow_until": mandate.shadow_until,
        "signed_by": mandate.signed_by or None,
        "why_not_signed": why_not_signed or None,
        "begins": window.begins if window else None,
        "ends": window.ends if window else None,
        "revoked_by": revoked.by if revoked else None,
        "revoked_at": revoked.at if revoked else None,
        "operations_left": standing.operations_left,
        "notional_left": standing.notional_left,
    }


def uses_shape(standing: Standing, shadows: Sequence[Shadow]) -> Shape:
    """What `mandate show` says beyond that row."""
    return {
        "uses": [use.model_dump(exclude={"mandate_id"}) for use in standing.uses],
        "would_send": sum(not each.why_not for each in shadows),
        "noted": [
            each.note.model_dump(include={"plan_id", "symbols", "measure", "at"}) | {"why_not": each.why_not}
            for each in shadows
        ],
    }


def approvers_shape(chain: RosterChain, place: str) -> Shape:
    """Everybody who may decide, for a program."""
    signed = chain.links[-1].signed if chain.links else None
    return {
        "place": place,
        "roster": chain.roster.version if chain.roster else 0,
        "signed_by": signed.by if signed else "",
        "signed_at": signed.statement.decided_at if signed else None,
        "members": [_member(member) for member in chain.members],
    }


def _member(member: Member) -> Shape:
    return {
        "name": member.name,
        "manages": member.manages,
        "callers": list(member.callers),
        "credentials": [_credential(each) for each in member.credentials],
        "rights": [rights.model_dump() for rights in member.rights],
    }


def _credential(credential: Credential) -> Shape:
    page = {"origin": credential.origin, "label": credential.label} if isinstance(credential, Passkey) else {}
    said = {"kind": credential.kind, "fingerprint": credential.fingerprint, "created_at": credential.created_at}
    return said | page

"""Mandates over the small exchange: drafted and signed as a person does it, and plans that go under them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from guard.desk import CALLER, PASSPHRASE, Desk
from guard.exchange import ACCOUNT
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.reports import OperationReport


def terms(**fields: Any) -> MandateTerms:
    """Closes of the usual positions, of any size; `fields` narrow that."""
    usual: dict[str, Any] = {
        "mode": Mode.PAPER,
        "account_id": ACCOUNT,
        "kinds": (MandateKind.CLOSE,),
        "instruments": ("AAPL", "TSLA", "MSFT"),
        "per_operation": fields.get("in_all", Decimal(1_000_000)),
        "in_all": Decimal(10_000_000),
        "operations": 10,
    }
    return MandateTerms(**{**usual, **fields})


async def signed(it: Desk, **fields: Any) -> Mandate:
    """A mandate of the only approver, in force from now on."""
    if it.store.rosters().roster is None:
        await it.supervisor.set_up_approver(PASSPHRASE)
    delegation = Delegation(it.parts)
    draft = await delegation.draft(terms(**fields), by="ana", shadow=timedelta(days=1))
    return (await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest)).mandate


async def sent_without_question(it: Desk, *instruments: str, **options: Any) -> OperationReport | None:
    """What became of a plan that a call sends; None where a person would have been asked."""
    planned = await it.plan(*instruments, **options)
    step = await it.guard.step(planned, can_elicit=True)
    if step.rung is not Rung.MANDATE:
        return None
    return await it.guard.send_under(planned.operation, step.mandate, caller=options.get("caller", CALLER))

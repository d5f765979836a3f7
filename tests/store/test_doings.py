"""What each caller did in an account since an instant, in sums."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import RowState
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, NOW, finished, plan_of, planned, yes_to


@pytest.mark.requirement("G-10")
def test_operations_rows_dollars_noes_and_doubts_are_summed_by_caller(store: SqlOperationStore) -> None:
    finished(store, plan_of("op-1"))
    finished(store, plan_of("op-2"), state=RowState.UNKNOWN)
    finished(store, plan_of("op-3").changed(caller="another"), state=RowState.REJECTED)
    planned(store, plan_of("op-4"))  # only previewed: it counts for nobody
    store.decide(yes_to(store.operation("op-4"), approved=False), NOW)
    another, tester = store.by_caller(Mode.PAPER, ACCOUNT, NOW - timedelta(seconds=1))
    assert (another.caller, another.operations, another.rows_sent, another.notional) == ("another", 1, 1, 0)
    assert (tester.operations, tester.rows_sent, tester.notional) == (2, 2, Decimal("2000.00"))
    assert (tester.declined, tester.in_doubt) == (0, 1)
    assert store.by_caller(Mode.PAPER, ACCOUNT, NOW) == store.by_caller(Mode.LIVE, ACCOUNT, NOW - timedelta(1)) == ()

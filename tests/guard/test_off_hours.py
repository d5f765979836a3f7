"""In live a close outside the regular session goes to the supervisor; on paper a form will do; flatten always may."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from guard.desk import CALLER, PASSPHRASE, Desk, desk
from guard.exchange import ACCOUNT, StandingClock
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.policy.findings import Rule, Severity

pytestmark = pytest.mark.requirement("G-10")


def at(text: str) -> StandingClock:
    return StandingClock(datetime.fromisoformat(text))


async def rules(it: Desk) -> list[tuple[Rule, Severity]]:
    verdict = (await it.plan("AAPL")).verdict
    assert verdict is not None
    return [(finding.rule, finding.severity) for finding in verdict.findings]


@pytest.mark.parametrize(
    "closed",
    [
        "2026-11-20T09:29:59-05:00",
        "2026-11-20T16:00:00-05:00",
        "2026-11-21T12:00:00-05:00",  # a Saturday
        "2026-11-26T12:00:00-05:00",  # Thanksgiving
        "2026-11-27T13:00:00-05:00",  # an early close
    ],
)
@pytest.mark.parametrize("mode", Mode)
async def test_out_of_hours_a_live_close_needs_the_supervisor(tmp_path: Path, closed: str, mode: Mode) -> None:
    async with desk(tmp_path, mode=mode, clock=at(closed)) as it:
        assert await rules(it) == ([(Rule.OFF_HOURS, Severity.DESK)] if mode is Mode.LIVE else [])
        rung = (await it.guard.step(await it.plan("AAPL"), can_elicit=True)).rung
        assert rung is (Rung.REFUSE if mode is Mode.LIVE else Rung.ELICITATION)  # nobody can approve at a desk yet


@pytest.mark.parametrize("opened", ["2026-11-20T09:30:00-05:00", "2026-11-20T15:59:59-05:00"])
async def test_in_the_regular_session_nothing_is_said(tmp_path: Path, opened: str) -> None:
    async with desk(tmp_path, mode=Mode.LIVE, clock=at(opened)) as it:
        assert await rules(it) == []


async def test_what_a_form_approved_as_the_session_ended_is_not_sent_and_what_the_supervisor_approves_is(
    tmp_path: Path,
) -> None:
    clock = at("2026-11-20T15:59:59.5-05:00")

    async def ends(name: str, _operation: str) -> None:
        if name == "claimed":
            clock.at = datetime.fromisoformat("2026-11-20T16:00:00-05:00")

    async with desk(tmp_path, mode=Mode.LIVE, clock=clock, checkpoint=ends) as it:
        done = await it.close("AAPL")
        assert done.anything_sent is False
        assert "The market is closed until 2026-11-23 09:30 New York" in done.reason
        assert it.exchange.requests == []
        approved = await it.approved_at_desk("MSFT")
        assert (await it.guard.send_approved(approved.operation_id, caller=CALLER)).anything_sent is True


async def test_a_person_flattens_at_any_hour(tmp_path: Path) -> None:
    async with desk(tmp_path, mode=Mode.LIVE, clock=at("2026-11-21T03:00:00-05:00")) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="root")
        assert flattening.overrides == ()
        assert (await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))).anything_sent is True

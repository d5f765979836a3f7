"""Until when instructions are taken: holidays, early closes, daylight saving, the expiration day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instruction_samples import book, position
from positions_mcp.domain.account.market import ContractFacts
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.exercise.rows import CheckedRow, InstructionRow, RowRule
from positions_mcp.domain.exercise.rules import BatchRules
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.market_calendar import NewYorkCalendar

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = NewYorkCalendar()


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def check(
    expiration: date, now: datetime, kind: str = "DO_NOT_EXERCISE", rule: DeadlineRule | None = None
) -> CheckedRow:
    symbol = f"AAPL{expiration:%y%m%d}C00195000"
    row = InstructionRow(instrument=symbol, instruction_type=kind, quantity="1")
    holdings = book(position(symbol, 1, 1))
    checks = BatchRules(book=holdings, listed=[], now=now, calendar=CALENDAR, deadline=rule or DeadlineRule())
    return checks.check([row]).rows[0]


def rules(row: CheckedRow) -> list[RowRule]:
    return [finding.rule for finding in row.findings]


# Expiration, the instant in UTC at which its instructions end, and why.
ENDS = [
    ("2026-11-20", "2026-11-20T22:30:00+00:00"),  # standard time
    ("2026-07-17", "2026-07-17T21:30:00+00:00"),  # daylight saving time
    ("2026-03-06", "2026-03-06T22:30:00+00:00"),  # the Friday before the clocks go forward
    ("2026-03-13", "2026-03-13T21:30:00+00:00"),  # and the one after
    ("2026-10-30", "2026-10-30T21:30:00+00:00"),  # the Friday before they go back
    ("2026-11-06", "2026-11-06T22:30:00+00:00"),  # and the one after
    ("2026-11-27", "2026-11-27T19:30:00+00:00"),  # early close at 13:00, the day after Thanksgiving
    ("2026-12-24", "2026-12-24T19:30:00+00:00"),  # early close on Christmas Eve
    ("2026-04-03", "2026-04-02T21:30:00+00:00"),  # Good Friday: the Thursday before
    ("2026-11-26", "2026-11-25T22:30:00+00:00"),  # Thanksgiving: the Wednesday before
    ("2026-11-21", "2026-11-20T22:30:00+00:00"),  # a Saturday: the Friday before
    ("2027-01-01", "2026-12-31T22:30:00+00:00"),  # New Year's Day: in the year before
]


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(("expiration", "ends"), ENDS)
def test_instructions_end_at_half_past_five_or_ninety_minutes_after_an_early_close(expiration: str, ends: str) -> None:
    instant, day = datetime.fromisoformat(ends), date.fromisoformat(expiration)
    in_time = check(day, instant - timedelta(microseconds=1))
    assert in_time.is_valid
    assert in_time.deadline == instant
    too_late = check(day, instant)
    assert rules(too_late) == [RowRule.DEADLINE_PASSED]
    assert f"{instant.astimezone(NEW_YORK):%H:%M} New York time" in too_late.findings[0].message


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("kind", ["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"])
@pytest.mark.parametrize(
    ("symbol", "facts", "ends"),
    [
        ("SPX261120C06000000", None, "2026-11-20T09:30"),
        ("VIXW261125C00020000", None, "2026-11-25T09:30"),
        ("NDX261127C20000000", None, "2026-11-27T09:30"),  # a day that closes early opens as always
        ("MYST261120C00225000", {"is_settle_on_open": True}, "2026-11-20T09:30"),
        ("OEX261120C00225000", {"is_settle_on_open": True}, "2026-11-20T09:30"),  # American
        ("SPXW261120C06000000", None, "2026-11-20T17:30"),
        ("SPX261120C06000000", {"is_settle_on_open": False}, "2026-11-20T17:30"),
        ("AAPL261120C00225000", None, "2026-11-20T17:30"),
    ],
)
def test_what_an_opening_settles_takes_no_instruction_from_then_on(
    symbol: str, facts: dict[str, bool] | None, ends: str, kind: str
) -> None:
    holding, at = position(symbol, 1, 1, underlying_instrument_type=None), new_york(ends)
    key = holding.instrument_id
    contracts = {key: ContractFacts.model_validate({"id": key, **facts})} if facts else {}

    def checked(now: datetime) -> CheckedRow:
        rules = BatchRules(
            book=book(holding), listed=[], now=now, calendar=CALENDAR, deadline=DeadlineRule(), contracts=contracts
        )
        return rules.check([InstructionRow(instrument=symbol, instruction_type=kind, quantity="1")]).rows[0]

    before, after = checked(at - timedelta(microseconds=1)), checked(at)
    assert before.is_valid
    assert before.deadline == at
    assert rules(after) == [RowRule.DEADLINE_PASSED]
    assert ("when the opening settled it" in after.findings[0].message) == (at.hour == 9)


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(
    ("latest", "expiration", "ends"),
    [
        (time(16, 30), "2026-11-20", "16:30"),
        (time(15, 0), "2026-11-20", "15:00"),
        (time(16, 30), "2026-11-27", "14:30"),
        (time(14, 0), "2026-11-27", "14:00"),
    ],
)
def test_an_earlier_deadline_can_be_configured_and_an_early_close_still_counts(
    latest: time, expiration: str, ends: str
) -> None:
    day = date.fromisoformat(expiration)
    rule = DeadlineRule(latest)
    at_the_end = new_york(f"{expiration}T{ends}")
    assert check(day, at_the_end - timedelta(seconds=1), rule=rule).is_valid
    assert rules(check(day, at_the_end, rule=rule)) == [RowRule.DEADLINE_PASSED]


@pytest.mark.parametrize("latest", [time(17, 30, 1), time(23, 59), time(15, 0, tzinfo=NEW_YORK)])
def test_a_deadline_later_than_the_rule_or_with_a_zone_cannot_be_configured(latest: time) -> None:
    with pytest.raises(ValueError, match="up to 17:30"):
        DeadlineRule(latest)


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("kind", ["DO_NOT_EXERCISE", "CONTRARY_EXERCISE"])
@pytest.mark.parametrize("now", ["2026-11-19T15:00", "2026-11-19T23:59:59", "2026-11-16T09:30"])
def test_giving_up_or_contrary_advice_is_taken_on_the_expiration_day_only(kind: str, now: str) -> None:
    row = check(date(2026, 11, 20), new_york(now), kind)
    assert rules(row) == [RowRule.OFF_EXPIRY_DAY]
    assert "2026-11-20" in row.findings[0].message


@pytest.mark.requirement("I-03")
def test_the_day_is_new_yorks_whatever_the_clock_says_elsewhere() -> None:
    """At 03:00 UTC it is still the evening before in New York."""
    still_thursday = datetime.fromisoformat("2026-11-20T03:00:00+00:00")
    assert rules(check(date(2026, 11, 20), still_thursday)) == [RowRule.OFF_EXPIRY_DAY]
    tokyo = new_york("2026-11-20T15:00").astimezone(ZoneInfo("Asia/Tokyo"))
    assert tokyo.date() == date(2026, 11, 21)
    assert check(date(2026, 11, 20), tokyo).is_valid


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("now", ["2026-11-21T00:00", "2026-12-01T12:00"])
@pytest.mark.parametrize("kind", ["EXERCISE", "DO_NOT_EXERCISE"])
def test_after_the_expiration_day_the_contract_is_expired(now: str, kind: str) -> None:
    assert rules(check(date(2026, 11, 20), new_york(now), kind)) == [RowRule.EXPIRED]


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(
    ("now", "warning"),
    [
        ("2026-11-17T12:00", None),
        ("2026-11-17T17:14", None),
        ("2026-11-17T17:29", "The cut-off is at 17:30 New York time"),
        ("2026-11-17T17:30", "Today's cut-off is over"),
        ("2026-11-21T12:00", "not a trading day"),
        ("2026-11-26T12:00", "not a trading day"),
        ("2026-11-27T14:31", "Today's cut-off is over"),
    ],
)
def test_an_early_exercise_is_taken_any_day_and_out_of_hours_the_doubt_is_said(now: str, warning: str | None) -> None:
    row = check(date(2026, 12, 18), new_york(now), "EXERCISE")
    assert row.is_valid
    assert (warning is None and row.warnings == ()) or (warning is not None and warning in row.warnings[0])


@pytest.mark.requirement("I-03")
def test_a_deadline_less_than_a_quarter_of_an_hour_away_is_said() -> None:
    assert check(date(2026, 11, 20), new_york("2026-11-20T17:14")).warnings == ()
    assert "at 17:30 New York time" in check(date(2026, 11, 20), new_york("2026-11-20T17:16")).warnings[0]


@pytest.mark.requirement("I-03")
def test_an_expiration_on_a_closed_day_is_taken_for_the_session_before_and_said() -> None:
    row = check(date(2026, 4, 3), new_york("2026-04-02T12:00"))
    assert row.is_valid
    assert "not a trading day" in row.warnings[0]


@pytest.mark.requirement("I-03")
@given(st.dates(date(2024, 1, 1), date(2028, 12, 31)), st.times(time(0, 0), time(17, 30)))
def test_a_deadline_is_never_later_than_the_rules_nor_on_a_closed_day(expiration: date, latest: time) -> None:
    session = expiry_session(expiration, CALENDAR)
    ends = DeadlineRule(latest).on(session).astimezone(NEW_YORK)
    assert CALENDAR.session_on(ends.date()) == session
    assert ends.date() <= expiration
    assert ends.time() <= min(latest, time(14, 30) if session.early_close else time(17, 30))


@pytest.mark.requirement("I-03", "I-06")
@pytest.mark.parametrize(
    ("sent", "then", "claims"),
    [
        ("2026-11-19T17:29", "2026-11-20T09:00", 0),  # that evening's: the book shows its effect
        ("2026-11-19T17:30", "2026-11-20T09:00", 1),  # after the cut-off: for this evening
        ("2026-11-19T23:30", "2026-11-20T17:00", 1),
        ("2026-11-21T12:00", "2026-11-23T12:00", 1),  # on a Saturday, for Monday
        ("2026-11-25T18:00", "2026-11-27T12:00", 1),  # before Thanksgiving, for the day after
        ("2026-11-27T14:30", "2026-11-30T12:00", 1),  # after an early close's cut-off
        ("2026-11-27T14:29", "2026-11-30T12:00", 0),
    ],
)
def test_an_accepted_exercise_claims_its_contracts_until_the_evening_it_was_sent_for(
    sent: str, then: str, claims: int
) -> None:
    when, now = (datetime.fromisoformat(each).replace(tzinfo=NEW_YORK) for each in (sent, then))
    row = {"id": "x", "account_id": 1, "instrument_id": "option", "instruction_type": "EXERCISE", "quantity": "1"}
    accepted = Instruction.model_validate({**row, "status": "ACCEPTED", "accepted_quantity": "1", "created_at": when})
    assert Outstanding([accepted], now=now, calendar=CALENDAR).on(InstrumentId("option")).quantity == claims

"""The clock and the hours of the market, as the paper exchange keeps them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from positions_mcp.domain.account.sessions import NEW_YORK, Session, new_york_day
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.wire import Row

MARKETS = {"us_equities": "US Equities", "us_options": "US Options"}
EVENT_CONTRACTS = "us_event_contracts"
"""A market that the API knows and the paper exchange does not have: it answers no row."""
_SATURDAY = 5


def market_hours_row(moment: Moment, market: str, day: date) -> Row:
    """The sessions of one market on a day, and on the next trading day."""
    now, here = moment.now.astimezone(NEW_YORK), new_york_day(moment.now)
    session = moment.market.session_on(day)
    following = moment.market.session_after(day)
    current = _current(moment, market)
    return {
        "current_time": now.isoformat(),
        "date": day.isoformat(),
        "market": market,
        "market_name": MARKETS[market],
        "next_sessions": _sessions(market, following, None),
        "status": {"current_session": current, "day_type": _day_type(session, day), "is_open": current is not None},
        "timezone": str(NEW_YORK),
        "today_sessions": _sessions(market, session, now if day == here else None),
    }


def _day_type(session: Session | None, day: date) -> str:
    if session is not None:
        return "EARLY_CLOSE" if session.early_close else "TRADING_DAY"
    return "WEEKEND" if day.weekday() >= _SATURDAY else "HOLIDAY"


def _current(moment: Moment, market: str) -> str | None:
    session = moment.market.session_on(new_york_day(moment.now))
    spans = _spans(market, session) if session else {}
    return next((name for name, (opens, closes) in spans.items() if opens <= moment.now < closes), None)


def _spans(market: str, session: Session) -> dict[str, tuple[datetime, datetime]]:
    regular = {"regular": (session.opens.astimezone(NEW_YORK), session.closes.astimezone(NEW_YORK))}
    if market != "us_equities":
        return regular
    first = datetime.combine(session.day, time(4), NEW_YORK)
    last = session.closes.astimezone(NEW_YORK) + timedelta(hours=4)
    return {"pre_market": (first, regular["regular"][0]), **regular, "after_hours": (regular["regular"][1], last)}


def _sessions(market: str, session: Session | None, now: datetime | None) -> Row:
    row: Row = {"after_hours": None, "maintenance": None, "overnight": None, "pre_market": None, "regular": None}
    for name, (opens, closes) in (_spans(market, session) if session else {}).items():
        schedule: Row = {"open": opens.isoformat(), "close": closes.isoformat()}
        if now is not None and now < opens:
            schedule["time_until_open"] = _iso(opens - now)
        elif now is not None and now < closes:
            schedule["time_until_close"] = _iso(closes - now)
        row[name] = schedule
    return row


def _iso(span: timedelta) -> str:
    """An ISO 8601 duration, to the second."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"PT{hours}H{minutes}M{seconds}S"

"""Who is signed in at the desks of a store, and what waits there for a touch: nothing is decided by it alone."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from positions_mcp.domain.errors import Refused
from positions_mcp.ports.beside import StoredOffer, StoredSession
from positions_mcp.store.access import Access
from positions_mcp.store.schema import as_text, desk_offers, desk_sessions

_FORGOTTEN_AFTER = timedelta(minutes=10)
"""Longer than a challenge may be answered: one that was answered stays so."""
_CONTENT = select(desk_offers.c.content)


class StoredSessions(Access):
    """Implements `positions_mcp.ports.beside.SessionStore`, over what the whole store reads and writes with."""

    def open_session(self, session: StoredSession, *, most: int) -> None:
        now = session.opened_at
        open_ones = desk_sessions.c.until > as_text(now)
        with self._noting() as connection:
            connection.execute(delete(desk_sessions).where(desk_sessions.c.until <= as_text(now - _FORGOTTEN_AFTER)))
            by_age = select(desk_sessions.c.cookie).where(open_ones).order_by(desk_sessions.c.seen_at.desc())
            too_many = by_age.offset(most - 1)
            for cookie in connection.execute(too_many).scalars().all():
                ended = update(desk_sessions).where(desk_sessions.c.cookie == cookie)
                connection.execute(ended.values(seen_at=as_text(now), until=as_text(now)))
            try:
                connection.execute(
                    insert(desk_sessions).values(
                        cookie=session.cookie,
                        token=session.token,
                        name=session.name,
                        credential=session.credential,
                        opened_at=as_text(now),
                        seen_at=as_text(session.seen_at),
                        until=as_text(session.until),
                        entered_by=session.entered_by,
                        wrong=0,
                    )
                )
            except IntegrityError:
                raise Refused("That was answered before.", hint="Sign in again.") from None

    def session(self, cookie: str) -> StoredSession | None:
        with self._reading() as connection:
            wanted = select(desk_sessions).where(desk_sessions.c.cookie == cookie)
            found = connection.execute(wanted).one_or_none()
        return None if found is None else _read(found)

    def keep_session(self, cookie: str, *, seen_at: datetime, until: datetime) -> None:
        stands = and_(desk_sessions.c.until > desk_sessions.c.seen_at, desk_sessions.c.until > as_text(seen_at))
        with self._noting() as connection:
            told = {"seen_at": as_text(seen_at), "until": as_text(until)}
            connection.execute(update(desk_sessions).where(desk_sessions.c.cookie == cookie, stands).values(**told))

    def count_guess(self, cookie: str, by: int) -> int:
        of_it = desk_sessions.c.cookie == cookie
        with self._noting() as connection:
            connection.execute(update(desk_sessions).where(of_it).values(wrong=desk_sessions.c.wrong + by))
            return connection.execute(select(desk_sessions.c.wrong).where(of_it)).scalar_one_or_none() or 0

    def keep_offer(self, offer: StoredOffer, now: datetime, *, most: int) -> None:
        mine = select(desk_offers.c.offer).where(desk_offers.c.session == offer.session)
        too_many = mine.order_by(desk_offers.c.until.desc()).offset(most - 1)
        with self._noting() as connection:
            over = connection.execute(too_many).scalars().all()
            past = or_(desk_offers.c.until <= as_text(now), desk_offers.c.offer.in_(over))
            connection.execute(delete(desk_offers).where(past))
            connection.execute(insert(desk_offers).values(**asdict(offer) | {"until": as_text(offer.until)}))

    def offer(self, offer: str, now: datetime) -> str | None:
        with self._reading() as connection:
            return connection.execute(_CONTENT.where(_waiting(offer, now))).scalar_one_or_none()

    def take_offer(self, offer: str, now: datetime) -> str | None:
        with self._noting() as connection:
            taken = delete(desk_offers).where(_waiting(offer, now)).returning(desk_offers.c.content)
            return connection.execute(taken).scalar_one_or_none()


def _waiting(offer: str, now: datetime) -> ColumnElement[bool]:
    return and_(desk_offers.c.offer == offer, desk_offers.c.until > as_text(now))


def _read(found: Row[Any]) -> StoredSession:
    said = {each.name: getattr(found, each.name) for each in fields(StoredSession)}
    instants = {name: datetime.fromisoformat(said[name]) for name in ("opened_at", "seen_at", "until")}
    return StoredSession(**(said | instants))

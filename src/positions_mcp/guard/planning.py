"""From what was asked for to a frozen plan: resolved in the book, in the order of sending, with its warnings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.sessions import NEW_YORK, MarketState
from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import HeldTarget, Kind, Mode, Plan, Target
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.resolve import Holdings
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.rules import judge
from positions_mcp.guard.targets import close_target, in_order_of_sending
from positions_mcp.guard.verdict import Verdict

MOST_INSTRUMENTS = 100
_LONGEST_NAME = 64
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter looks like a digit."""


def draft_close(
    *,
    policy: Policy,
    facts: Facts,
    mode: Mode,
    account_id: AccountId,
    instruments: Sequence[str] | None,
    cancel_orders: bool,
    caller: str,
    market: MarketState,
    now: datetime,
    new_id: str,
    flatten: bool = False,
    unread: tuple[HeldTarget, ...] = (),
) -> tuple[Plan, Verdict]:
    """A plan to close the named instruments, or with None everything, and what policy says of it.

    A person who flattens may close what is `unread`: then nothing is looked up.

    Raises:
        InvalidInput: no instruments, too many, one named twice, one already flat, or nothing is held.
        UnknownInstrument: nothing held goes by a name.
    """
    targets: tuple[Target, ...] = unread
    if not unread:
        positions = everything_held(facts.book) if instruments is None else named(facts.book, instruments)
        targets = tuple(close_target(position, facts, cancel_orders) for position in in_order_of_sending(positions))
    draft = Plan(
        plan_id=short_id(new_id),
        mode=mode,
        account_id=account_id,
        kind=Kind.CLOSE_ALL_POSITIONS if instruments is None else Kind.CLOSE_POSITIONS,
        caller=caller,
        targets=targets,
        cancel_orders=cancel_orders,
        session=session_in_words(market),
        created_at=now,
        expires_at=now + policy.plan_lifetime,
        flatten=flatten,
    )
    verdict = judge(policy, draft, facts)
    return draft.changed(warnings=verdict.warnings), verdict


def named(book: Book, instruments: Sequence[str]) -> list[Position]:
    """The positions that the names mean, each once."""
    if not 1 <= len(instruments) <= MOST_INSTRUMENTS:
        raise InvalidInput(f"{len(instruments)} instruments were named.", hint=f"Name 1 to {MOST_INSTRUMENTS}.")
    holdings = Holdings(book.positions)
    found: dict[str, str] = {}
    positions = []
    for name in instruments:
        position = holdings.find(checked_name(name))
        if earlier := found.get(position.instrument_id):
            raise InvalidInput(
                f"{label(name)} and {label(earlier)} name the same instrument.", hint="Name each instrument once."
            )
        if position.quantity == 0:
            raise InvalidInput(f"{label(position.name)} is already flat.", hint="There is nothing to close.")
        found[position.instrument_id] = name
        positions.append(position)
    return positions


def everything_held(book: Book) -> list[Position]:
    """Every position that is not flat. Raises InvalidInput where there is none."""
    held = [position for position in book.positions if position.quantity != 0]
    if not held and not book.is_complete:
        raise InvalidInput(
            f"What account {book.account_id} holds is not known: its listing was incomplete, and shows nothing.",
            hint="Read it again.",
        )
    if not held:
        raise InvalidInput(f"Account {book.account_id} holds nothing.", hint="There is nothing to close.")
    return held


def checked_name(name: str) -> str:
    """A name short and visible enough to be looked up. Raises UnsafeIdentifier."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UnsafeIdentifier(
            f"{quoted(name, 40)} cannot be the name of an instrument.", hint="Give a symbol, an OSI symbol, or a UUID."
        )
    return name


def session_in_words(market: MarketState) -> str:
    """What happens to an order sent now."""
    if market.current is not None:
        closes = market.current.closes.astimezone(NEW_YORK)
        return f"open until {closes:%H:%M} New York"
    opens = market.next.opens.astimezone(NEW_YORK)
    return f"closed: may queue until {opens:%a %Y-%m-%d %H:%M} New York"


def short_id(new_id: str) -> str:
    """An operation's id, short enough to be typed at a terminal: `op-` and ten letters and digits (50 bits)."""
    number = int.from_bytes(hashlib.sha256(new_id.encode()).digest()[:8], "big")
    return "op-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 50, 5))

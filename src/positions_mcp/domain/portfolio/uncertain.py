"""Short options whose cover cannot be judged, and what of the book may be covering them (G-12).

What an adjusted or a FLEX option delivers, or one whose symbol cannot be read, does not follow from its symbol. Whether
selling a share of its underlying leaves it uncovered is then not known, and a person decides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from positions_mcp.domain.account.positions import Book, Position, Side
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionRight, as_root, underlying_root_of


class UncertainCover(NamedTuple):
    """A position that may be covering a short option, and that option."""

    position: Position
    short: Position


def uncertain_cover(
    book: Book, touched: Collection[InstrumentId], bought_back: Collection[InstrumentId] = ()
) -> tuple[UncertainCover, ...]:
    """The positions `touched` that may cover a short option of which that cannot be judged.

    `bought_back` names short options that the same plan closes whole.
    """
    shorts = [p for p in uncertain_shorts(book) if p.instrument_id not in bought_back]
    if not shorts:
        return ()
    positions = [p for key in dict.fromkeys(touched) if (p := book.by_id.get(key)) is not None]
    return tuple(UncertainCover(each, short) for each in positions for short in shorts if may_cover(each, short, book))


def uncertain_shorts(book: Book) -> tuple[Position, ...]:
    """Short options that deliver what is not known, or shares that several holdings could be."""
    return tuple(short for short in book.short_options if _is_uncertain(short, book))


class TakenCover(NamedTuple):
    """Shares that exercising an option of unknown deliverable may take away, and a short option that they cover."""

    option: Position
    share: Position
    short: Position


def cover_taken_by(option: Position, book: Book) -> tuple[TakenCover, ...]:
    """What exercising a long option may take from short options whose own deliverable is known; nothing where it is."""
    if not _is_uncertain(option, book):
        return ()
    shorts = [short for short in book.short_options if not _is_uncertain(short, book)]
    shares = [book.by_id[key] for key in may_deliver(option, book)]
    return tuple(TakenCover(option, share, s) for share in shares for s in shorts if may_cover(share, s, book))


def may_cover(position: Position, short: Position, book: Book) -> bool:
    if position.instrument_id == short.instrument_id or not position.quantity:
        return False
    right = short.contract.right if short.contract else None
    if position.is_option:
        its_right = position.contract.right if position.contract else None
        alike = right is None or its_right is None or its_right is right
        return position.side is Side.LONG and alike and _has_same_underlying(position, short)
    if not position.is_closable:
        return False
    covering = {OptionRight.CALL: Side.LONG, OptionRight.PUT: Side.SHORT, None: None}[right]
    return _may_be(covering, position) and _is_underlying(position, short, book)


def may_deliver(option: Position, book: Book) -> tuple[InstrumentId, ...]:
    """The holdings that exercising a long option may take away: shares a put sells, shorts a call buys back."""
    right = option.contract.right if option.contract else None
    taken = {OptionRight.PUT: Side.LONG, OptionRight.CALL: Side.SHORT, None: None}[right]
    shares = (p for p in book.positions if not p.is_option and p.is_closable)
    return tuple(p.instrument_id for p in shares if _may_be(taken, p) and _is_underlying(p, option, book))


def _may_be(side: Side | None, shares: Position) -> bool:
    """Whether shares are, or where the API contradicts itself may be, held on that side; None stands for either."""
    return bool(shares.quantity) and (side is None or shares.side_contradicts or shares.side is side)


def _is_uncertain(option: Position, book: Book) -> bool:
    if book.multiplier_of(option) is None:
        return True
    # What goes by its root is held, and yet is not the one that it is on.
    return find_underlying(option, book) is None and underlying_root_of(option.symbol) in book.by_root


def _is_underlying(share: Position, option: Position, book: Book) -> bool:
    """By the id that the API names, where that is held; else by the root; and any share where neither is known."""
    named, root = option.underlying_instrument_id, underlying_root_of(option.symbol)
    if named is not None:
        held = book.by_id.get(named)
        if held is not None and not held.is_option:
            return share.instrument_id == named
    if root:
        return as_root(share.symbol) == root
    return named is None


def _has_same_underlying(one: Position, other: Position) -> bool:
    if one.underlying_instrument_id and one.underlying_instrument_id == other.underlying_instrument_id:
        return True
    roots = underlying_root_of(one.symbol), underlying_root_of(other.symbol)
    if all(roots):
        return roots[0] == roots[1]
    # One of them shows no root: unless the API says what both are on, it may be the same.
    return not (one.underlying_instrument_id and other.underlying_instrument_id)

"""`positions-mcp paper market …`: halts, stated prices, dividends and splits on the paper market."""

from __future__ import annotations

import argparse
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from positions_mcp.paper import PaperExchange

_RATIO = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)


def add_arguments(market: argparse.ArgumentParser, data_dir: argparse.ArgumentParser) -> None:
    """The subcommands of `paper market`; `data_dir` is the parent with the option that they share."""
    acts = market.add_subparsers(dest="market_command", required=True, metavar="halt|resume|price|dividend|split")
    for name, what in (("halt", "orders in it are taken and do not fill"), ("resume", "it trades again")):
        acts.add_parser(name, help=what, parents=[data_dir]).add_argument("symbol")
    price = acts.add_parser("price", help="what it closes at, for what expires", parents=[data_dir])
    price.add_argument("symbol")
    price.add_argument("price", type=_decimal)
    price.add_argument("--day", type=day_of, help="default: the session that is on, or the next one")
    price.add_argument("--open", action="store_true", help="what it opens at instead, for AM settlement")
    dividend = acts.add_parser("dividend", help="paid on the morning of its ex-date", parents=[data_dir])
    dividend.add_argument("symbol")
    dividend.add_argument("amount", type=_decimal)
    dividend.add_argument("day", type=day_of, metavar="EX_DATE")
    split = acts.add_parser("split", help="before the session of a day, with adjusted contracts", parents=[data_dir])
    split.add_argument("symbol")
    split.add_argument("ratio", type=_ratio, help="NEW:OLD, such as 4:1, 3:2 or 1:10")
    split.add_argument("day", type=day_of)


def run(args: argparse.Namespace, exchange: PaperExchange) -> None:
    """Lets it happen, and prints what will."""
    from positions_mcp.paper import happenings
    from positions_mcp.paper.holdings import CompanyEvent

    match args.market_command:
        case "halt":
            said = happenings.halt(exchange, args.symbol)
        case "resume":
            said = happenings.resume(exchange, args.symbol)
        case "price":
            said = happenings.state_price(exchange, args.symbol, args.price, args.day, "open" if args.open else "close")
        case "dividend":
            said = happenings.declare(exchange, args.symbol, CompanyEvent("dividend", args.day, args.amount))
        case _:
            new, old = args.ratio
            event = CompanyEvent("split", args.day, numerator=new, denominator=old)
            said = happenings.declare(exchange, args.symbol, event)
    print(said)


def day_of(text: str) -> date:
    """A day as an argument."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-03-02") from error


def _ratio(text: str) -> tuple[int, int]:
    match = _RATIO.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no ratio; write NEW:OLD, such as 4:1")
    return int(match[1]), int(match[2])


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error

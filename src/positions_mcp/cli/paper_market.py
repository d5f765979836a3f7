"""`positions-mcp paper market …`: halts, stated prices, dividends and splits on the paper market."""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from positions_mcp.paper import PaperExchange


def add_arguments(market: argparse.ArgumentParser, data_dir: argparse.ArgumentParser) -> None:
    """The subcommands of `paper market`; `data_dir` is the parent with the option that they share."""
    acts = market.add_subparsers(dest="market_command", required=True, metavar="halt|resume|price|dividend|split")
    for name, what in (("halt", "orders in it are taken and do not fill"), ("resume", "it trades again")):
        acts.add_parser(name, help=what, parents=[data_dir]).add_argument("symbol")
    price = acts.add_parser("price", help="what it closes at, for what expires", parents=[data_dir])
    price.add_argument("symbol")
    price.add_argument("price")
    price.add_argument("--day", type=day_of, help="default: the session that is on, or the next one")
    price.add_argument("--open", action="store_true", help="what it opens at instead, for AM settlement")
    dividend = acts.add_parser("dividend", help="paid on the morning of its ex-date", parents=[data_dir])
    dividend.add_argument("symbol")
    dividend.add_argument("amount")
    dividend.add_argument("day", type=day_of, metavar="EX_DATE")
    split = acts.add_parser("split", help="before the session of a day, with adjusted contracts", parents=[data_dir])
    split.add_argument("symbol")
    split.add_argument("ratio", help="NEW:OLD, such as 4:1, 3:2 or 1:10")
    split.add_argument("day", type=day_of)


def run(args: argparse.Namespace, exchange: PaperExchange) -> None:
    from positions_mcp.paper.happenings import happen

    wanted: dict[str, object] = {"what": args.market_command}
    for name in ("symbol", "price", "amount", "ratio"):
        if hasattr(args, name):
            wanted[name] = getattr(args, name)
    if getattr(args, "day", None) is not None:
        wanted["day"] = args.day.isoformat()
    if getattr(args, "open", False):
        wanted["at"] = "open"
    print(happen(exchange, wanted))


def day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-03-02") from error

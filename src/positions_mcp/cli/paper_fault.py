"""`positions-mcp paper fault`: makes the next requests fail, for exactly those that it names."""

from __future__ import annotations

import argparse
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from positions_mcp.cli.options import whole_number
from positions_mcp.cli.output import print_json

if TYPE_CHECKING:
    from positions_mcp.paper import Fault, PaperExchange

_HEARD_WITHIN = 1.0
"""Seconds; a running server looks for a `refuse` ten times a second."""


def add_arguments(fault: argparse.ArgumentParser) -> None:
    fault.add_argument("kind", nargs="?", help="what happens, or `clear` to disarm all")
    fault.add_argument("operation", nargs="?", default="any", help="on which operation (default any)")
    often = fault.add_mutually_exclusive_group()
    often.add_argument("--times", type=whole_number, help="how often (default 1; what lasts: until cleared)")
    often.add_argument("--standing", action="store_true", help="until `paper fault clear`")
    fault.add_argument("--skip", type=whole_number, default=0, help="requests that pass first: 2 strikes the third")
    fault.add_argument("--account", type=whole_number, help="only requests for this account")
    fault.add_argument("--instrument", help="only this instrument (symbol or UUID): requests that name it, or its rows")
    fault.add_argument("--seconds", type=_decimal, help="how long, as the kind says; Retry-After of status_429")
    fault.add_argument("--jitter", type=_decimal, help="seconds that a delay or latency may be longer or shorter")
    fault.add_argument("--count", type=whole_number, help="the budget of rate_limit, the parts of partial_fills")
    fault.add_argument("--share", type=_decimal, help="how much of the order partial_fills ever fills, from 0 to 1")
    fault.add_argument("--body", help="for status_NNN (200 to 599): the answer's body; @FILE reads it from a file")
    fault.add_argument("--after-effect", action="store_true", help="for status_NNN: the effect happens first")


def run(args: argparse.Namespace, exchange: PaperExchange) -> None:
    """Arms, disarms or lists faults, and prints what was done."""
    if args.kind == "clear":
        exchange.disarm()
        print("No fault is armed.")
    elif args.kind:
        fault = exchange.arm(args.kind, args.operation, **_options(args))
        print(f"Armed: {told(fault)}.")
        if fault.kind == "refuse" and _is_heard(exchange, fault):
            print("A running server refuses connections now.")
    elif args.json:
        from positions_mcp.paper.control import shown_fault

        print_json({"armed": [shown_fault(fault) for fault in exchange.faults()]})
    else:
        _list(exchange)


def told(fault: Fault) -> str:
    often = "until cleared" if fault.times is None else f"{fault.times} time(s)"
    narrowed = [
        f"{name} {value}" for name, value in (("account", fault.account), ("instrument", fault.instrument)) if value
    ]
    passing = f", after {fault.skip} request(s)" if fault.skip else ""
    return ", ".join([f"{fault.kind} for {fault.operation}", *narrowed, often]) + passing


def _options(args: argparse.Namespace) -> dict[str, Any]:
    names = ("skip", "account", "instrument", "seconds", "jitter", "count", "share", "after_effect")
    options = {name: getattr(args, name) for name in names}
    if args.standing or args.times is not None:
        options["times"] = args.times
    if args.body is not None:
        path = args.body.removeprefix("@")
        options["body"] = args.body if path == args.body else Path(path).read_text(encoding="utf-8")
    return options


def _is_heard(exchange: PaperExchange, fault: Fault) -> bool:
    """Whether a server takes the fault before the command ends, so that whoever waits for it can rely on it."""
    until = time.monotonic() + _HEARD_WITHIN
    while time.monotonic() < until:
        if fault.number not in {armed.number for armed in exchange.faults()}:
            return True
        time.sleep(0.02)
    return False


def _list(exchange: PaperExchange) -> None:
    from positions_mcp.paper import KINDS, OPERATIONS

    width = max(len(kind) for kind in KINDS)
    print("\n".join(f"{kind:<{width}}  {what}" for kind, what in KINDS.items()))
    print(f"{'status_NNN':<{width}}  the answer has status NNN, 300 to 599; no effect unless --after-effect")
    print(f"{'':<{width}}  with --body 200 to 599: an answer of your own")
    print(f"\noperations: {', '.join(OPERATIONS)}, any")
    armed = [f"  {told(fault)}" for fault in exchange.faults()]
    print("armed:" if armed else "armed: none", *armed, sep="\n")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error

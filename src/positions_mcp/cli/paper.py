"""`positions-mcp paper …`: serve the paper exchange, begin it again, move its clock, make it fail, look into it."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from positions_mcp.cli import paper_fault, paper_market
from positions_mcp.cli.commands import completed_for, program
from positions_mcp.cli.options import port, settings_of_either_mode, whole_number
from positions_mcp.cli.output import add_json_option, complain, print_json
from positions_mcp.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from positions_mcp.paper import PaperExchange


def add_arguments(paper: argparse.ArgumentParser) -> None:
    paper.description = "Serve the paper exchange, begin it again, move its clock, make it fail, look into it."
    commands = paper.add_subparsers(dest="paper_command", required=True, metavar="COMMAND")

    serve = _command(commands, "serve", "serve the API on loopback until interrupted")
    serve.add_argument("--port", type=port, default=0, help="0 (default) picks a free one")
    serve.add_argument("--host", help="default: this machine only; another one needs a --key of your own")
    serve.add_argument("--key", action="append", help="KEY or KEY:ACCOUNT; may be repeated (default paper.key)")
    serve.add_argument("--scenario", help="a packaged scenario or a .toml file; default: the book's own, or demo")
    serve.add_argument(
        "--contract", choices=("seed", "summer", "current", "auto"), default="current", help="contract of the API"
    )
    serve.add_argument("--errors", choices=("flat", "enveloped"), help="shape of errors; default: the dialect's own")

    replay = commands.add_parser("replay", help="serve a session that `serve --record FILE` kept, on loopback")
    replay.add_argument("file", type=Path, metavar="FILE")
    replay.add_argument("--port", type=port, default=0, help="0 (default) picks a free one")

    reset = _command(commands, "reset", "begin the book again")
    reset.add_argument("--scenario", help="default: the one it has")
    reset.add_argument("--account", type=whole_number, action="append", help="an account number; may be repeated")
    reset.add_argument("--day", type=paper_market.day_of, help="the trading day on which the clock then stands")
    reset.add_argument("--seed", help="with --day: ids, prices and answers are the same every time")

    keep = _command(commands, "snapshot", "keep the book as it is under a name; without one: what is kept")
    keep.add_argument("name", nargs="?")
    _command(commands, "restore", "make the book what it was when a snapshot was taken").add_argument("name")

    status = _command(commands, "status", "scenario, clock, money and counts, as JSON")
    effects = _command(commands, "effects", "every request that has changed the book, as JSON")

    fault = _command(
        commands, "fault", "make the next requests fail; without arguments: what can fail, and what is armed"
    )
    paper_fault.add_arguments(fault)

    market = commands.add_parser("market", help="halts, stated prices, dividends and splits on the paper market")
    shared = argparse.ArgumentParser(add_help=False)
    _with_data_dir(shared)
    paper_market.add_arguments(market, shared)

    clock = _command(commands, "clock", "show or move the book's clock")
    moves = clock.add_subparsers(dest="clock_command", metavar="show|set|advance|real")
    showing = moves.add_parser("show", help="what it shows (default)")
    _with_data_dir(showing)
    setting = moves.add_parser("set", help="set it; it then stands still")
    setting.add_argument("instant", help="such as 2026-11-23T14:30, in New York unless it has a zone")
    setting.add_argument("--running", action="store_true", help="let it run on from there")
    _with_data_dir(setting)
    advancing = moves.add_parser("advance", help="move it forward")
    advancing.add_argument("by", type=_span, help="such as 90s, 5m, 2h or 1d")
    _with_data_dir(advancing)
    _with_data_dir(moves.add_parser("real", help="return to real time"))
    for reading in (status, effects, keep, fault, clock, showing):
        add_json_option(reading)


def run(args: argparse.Namespace) -> int:
    """Runs a `paper` subcommand; 0 if it did what it was asked, 2 if it says why not."""
    from positions_mcp.paper.errors import PaperError

    command = {
        "serve": _serve,
        "replay": _replay,
        "reset": _reset,
        "snapshot": _snapshot,
        "restore": _restore,
        "status": _look,
        "effects": _look,
        "fault": _steer,
        "market": _steer,
        "clock": _clock,
    }
    try:
        return command[args.paper_command](args, _directory_of(args))
    except (PaperError, ValueError, OSError) as error:
        complain(f"positions-mcp paper: {completed_for(args, str(error))}")
        return 2


def _directory_of(args: argparse.Namespace) -> Path:
    """Where the book is. Raises ConfigurationError where it is another machine's."""
    settings = settings_of_either_mode(args)
    url = settings.paper.url
    if url and "data_dir" not in args and args.paper_command not in ("serve", "replay"):
        # Another book would be begun here, and whoever uses the one there would wonder.
        raise ConfigurationError(
            f"The paper exchange is at {url} (paper.url): run this where it is served.",
            hint="For a book on this machine give its --data-dir.",
        )
    return settings.folder


def _serve(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.paper import DEFAULT_KEY
    from positions_mcp.paper.control import hint_of
    from positions_mcp.paper.serve import HOST, is_loopback, serve

    host, keys = args.host or HOST, tuple(args.key or (DEFAULT_KEY,))
    if not is_loopback(host):
        if not args.key or any(key.partition(":")[0] == DEFAULT_KEY for key in keys):
            raise ValueError(
                f"whoever reaches {host} could use it, and everybody knows {DEFAULT_KEY}: "
                "give a --key ID.SECRET (or ID.SECRET:ACCOUNT) of your own"
            )
        complain(
            f"Warning: whoever reaches {host} and has a key can change this paper book, and keys travel in plain text. "
            "Only for a private network."
        )

    def announce(port: int) -> None:
        with exchange.reading() as moment:
            account, now, facts = min(moment.ledger.accounts), moment.now, moment.ledger.facts
            hint = completed_for(args, hint_of(moment) or "")
        # A key of somebody's own would stay in the log of a container; everybody knows the usual one.
        base, key = f"http://{host}:{port}", "KEY" if args.key else exchange.key_ring.first
        print(
            f"Paper exchange listening on {base}\n"
            f"  scenario  {facts.scenario}: {facts.title}\n"
            f"  contract  {args.contract}   account {account}   key {key}   clock {now.isoformat()}\n"
            f"  try       curl -H 'Authorization: Bearer {key}' {base}/v1/accounts/{account}/positions\n"
            f"  SDK       ClearStreet(api_key={key!r}, base_url={base!r})\n"
            f"  look      {base}/openapi.json   {base}/paper/status" + (f"\n{hint}" if hint else ""),
            flush=True,
        )

    options = {"contract": args.contract, "errors": args.errors, "keys": keys}
    with closing(_open(directory, args.scenario, **options)) as exchange, suppress(KeyboardInterrupt):
        _check_keys(exchange)
        serve(exchange, args.port, announce, host)
    return 0


def _replay(args: argparse.Namespace, _: Path) -> int:
    from positions_mcp.paper.replaying import Replay
    from positions_mcp.paper.serve import HOST, serve_replay

    replay = Replay.read(args.file)

    def announce(port: int) -> None:
        print(
            f"{replay.requests} recorded requests are answered at http://{HOST}:{port}\n"
            f"  use it    POSITIONS_MCP_PAPER__URL=http://{HOST}:{port} {program()} serve --account NUMBER",
            flush=True,
        )

    with suppress(KeyboardInterrupt):
        serve_replay(replay, args.port, announce)
    return 0


def _check_keys(exchange: PaperExchange) -> None:
    with exchange.reading() as moment:
        unknown = sorted(exchange.key_ring.accounts - set(moment.ledger.accounts))
        if unknown:
            raise ValueError(
                f"a --key opens account {unknown[0]}; this paper book has {sorted(moment.ledger.accounts)}: "
                "run `positions-mcp paper reset --account NUMBER`, or use another --data-dir"
            )


def _reset(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.paper import PaperExchange

    name = PaperExchange.reset(directory, args.scenario, accounts=args.account, day=args.day, seed=args.seed)
    print(f"The paper book in {directory} begins again with the scenario {name}.")
    if args.day is not None:
        said = "Its clock stands still: `positions-mcp paper clock advance 2s` lets an order fill."
        print(completed_for(args, said))
    return 0


def _snapshot(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.clock import SystemClock
    from positions_mcp.paper import snapshots

    if args.name is None and args.json:
        print_json({"snapshots": snapshots.names(directory)})
    elif args.name is None:
        print("\n".join(snapshots.names(directory)) or "no snapshots")
    else:
        print(f"Kept as {args.name}: {snapshots.take(directory, args.name, SystemClock())}")
    return 0


def _restore(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.clock import SystemClock
    from positions_mcp.paper import snapshots

    snapshots.restore(directory, args.name, SystemClock())
    print(f"The paper book in {directory} is what it was at the snapshot {args.name}.")
    return 0


def _look(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.paper.control import effects_of, status_of

    look = {"status": status_of, "effects": effects_of}[args.paper_command]
    with closing(_open(directory)) as exchange:
        shown = look(exchange)
    if hint := shown.get("hint"):
        shown["hint"] = completed_for(args, hint)
    print_json(shown)
    return 0


def _steer(args: argparse.Namespace, directory: Path) -> int:
    steer = {"fault": paper_fault.run, "market": paper_market.run}[args.paper_command]
    with closing(_open(directory)) as exchange:
        steer(args, exchange)
    return 0


def _clock(args: argparse.Namespace, directory: Path) -> int:
    from positions_mcp.domain.account.sessions import NEW_YORK
    from positions_mcp.paper.clock import instant_of
    from positions_mcp.paper.control import clock_of, hint_of

    with closing(_open(directory)) as exchange:
        if args.clock_command == "set":
            instant = instant_of(args.instant)
            exchange.clock.set(instant if instant.tzinfo else instant.replace(tzinfo=NEW_YORK), running=args.running)
        elif args.clock_command == "advance":
            exchange.clock.advance(args.by)
        elif args.clock_command == "real":
            exchange.clock.real()
        if args.json:
            print_json(clock_of(exchange))
            return 0
        with exchange.reading() as moment:
            now, session, hint = moment.now, moment.market.session_at(moment.now), hint_of(moment)
        market = "open" if session else "closed"
        mode = {"real": "real time", "set": "set, standing still", "running": "set, running"}[
            exchange.clock.setting().mode
        ]
        print(f"{now.astimezone(NEW_YORK):%A %Y-%m-%d %H:%M:%S} New York ({mode}); the market is {market}.")
        if hint:
            print(completed_for(args, hint))
    return 0


def _open(directory: Path, scenario: str | None = None, **options: Any) -> PaperExchange:
    """The book as it is, with whichever accounts it has."""
    from positions_mcp.paper import PaperExchange

    return PaperExchange.open(directory, scenario=scenario, accounts=None, **options)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    _with_data_dir(parser)
    return parser


def _with_data_dir(parser: argparse.ArgumentParser) -> None:
    what = "where the book is (default: POSITIONS_MCP_DATA_DIR, or the platform's user data folder)"
    parser.add_argument("--data-dir", metavar="DIR", type=Path, default=argparse.SUPPRESS, help=what)
    configured = "a configuration file: its data_dir and paper.url"
    parser.add_argument("--config", metavar="FILE.toml", type=Path, default=argparse.SUPPRESS, help=configured)


def _span(text: str) -> timedelta:
    from positions_mcp.paper.symbols import duration_of

    span = duration_of(text, usual_unit="s")
    if span is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration up to 200 years; write 90s, 5m, 2h or 1d")
    return span

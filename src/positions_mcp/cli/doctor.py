"""`positions-mcp doctor`: is everything in place? It looks, tries whether the store takes a write, and says it.

With `--live` it also asks the live API, reading only, and says where its answers differ from what this program knows.
Neither a key nor what an account holds is ever shown.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from positions_mcp import __version__
from positions_mcp.cli.assembly.stores import database_of
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.findings import Findings
from positions_mcp.cli.options import add_settings_options, settings_from
from positions_mcp.cli.output import add_json_option, print_json, say
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.cli.words import money_at_stake
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.servers import of_another_policy
from positions_mcp.domain.text import quoted
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.packaged import config_dir, prompts_dir
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings, live_access
from positions_mcp.store import DEFAULT_FILE, open_store

_LIBRARIES = ("mcp", "httpx", "pydantic", "sqlalchemy", "holidays")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings_options(parser)
    add_json_option(parser)
    parser.add_argument("--live", action="store_true", help="also ask the live API, reading only (implies --mode live)")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything. Returns 0 where nothing fails, otherwise 1."""
    if arguments.live:
        if arguments.mode not in (None, Mode.LIVE):
            raise ConfigurationError(f"--live with --mode {arguments.mode}.", hint="Leave one of them out.")
        arguments.mode = Mode.LIVE
    found = Findings(_say=_nothing) if arguments.json else Findings()
    _installation(found)
    settings = _configuration(found, arguments)
    if settings is not None:
        _data_dir(found, settings)
        _operations(found, settings)
        _tokens(found, settings)
        _clock(found, settings)
        if arguments.live:
            from positions_mcp.cli.doctor_live import ask_the_live_api

            with found.about("live API"), found.waiting("Asking the live API"):
                ask_the_live_api(found, settings)
    ending = f"{found.notes} to note" if found.notes else "nothing to note"
    if arguments.json:
        print_json({"failed": found.failed, "notes": found.notes, "findings": found.found})
    else:
        say(f"{found.failed} failed, {ending}. No operation was touched and nothing was sent.")
    return 1 if found.failed else 0


def _nothing(_: str) -> None:
    """JSON says it all at the end."""


def _installation(found: Findings) -> None:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    found.ok("program", f"positions-mcp {__version__}, Python {platform.python_version()}, {libraries}")
    try:
        from positions_mcp.prompts import PromptText

        scenarios = sorted(file.stem for file in (config_dir() / "paper").glob("*.toml"))
        prompts = [PromptText.read(file).name for file in sorted(prompts_dir().glob("*.md"))]
    except (OSError, ValueError) as error:
        found.fail("packaged files", str(error))
        return
    if scenarios and prompts:
        found.ok("packaged files", f"{len(prompts)} prompts; paper scenarios {', '.join(scenarios)}")
    else:
        found.fail("packaged files", "scenarios or prompts are missing. Install positions-mcp again.")


def _configuration(found: Findings, arguments: argparse.Namespace) -> Settings | None:
    try:
        settings = settings_from(arguments)
    except ConfigurationError as error:
        found.fail("configuration", str(error))
        return None
    found.ok("configuration", f"{money_at_stake(settings.mode)}; {'; '.join(_effective(settings))}")
    if settings.mode is Mode.PAPER and settings.paper.scenario:
        from positions_mcp.paper.errors import ScenarioError
        from positions_mcp.paper.scenario import load_scenario

        try:
            found.ok("paper scenario", load_scenario(settings.paper.scenario).title)
        except ScenarioError as error:
            found.fail("paper scenario", str(error))
    if settings.mode is Mode.LIVE:
        with found.about("live access"):
            found.ok("live access", f"{live_access(settings.api.hosts).base_url}, with an API key")
        if not settings.trading_enabled:
            found.note("trading", "read-only. To let a person approve: trading.enabled = true")
        elif missing := settings.limits_to_choose:
            found.fail("trading", f"nothing is sent until {', '.join(missing)} are chosen: a number, or none")
    return settings


def _effective(settings: Settings) -> Iterator[str]:
    """Every setting as it works out, without a secret."""
    yield f"accounts {', '.join(map(str, settings.allowed_accounts))}"
    yield f"data_dir {settings.folder}"
    yield f"store {'PostgreSQL (store.url)' if settings.store.url else DEFAULT_FILE}"
    for section in ("api", "paper", "trading", "approval"):
        if section == "paper" and settings.mode is Mode.LIVE:
            continue
        for name, value in getattr(settings, section).model_dump(mode="json").items():
            if value is not None and value != []:
                yield f"{section}.{name} {quoted(value) if isinstance(value, str) else value}"


def _data_dir(found: Findings, settings: Settings) -> None:
    folder = settings.folder
    if not folder.exists():
        parent = next(each for each in folder.parents if each.exists())
        try:  # permissions alone do not say it: not of a disk that is full or read only, nor to root
            with TemporaryDirectory(prefix=".positions-mcp-", dir=parent):
                found.ok("data_dir", f"{folder} is made when it is first needed")
        except OSError as error:
            why = f"{folder} cannot be made in {parent}: {error.strerror}"
            found.fail("data_dir", f"{why}. Set --data-dir to a directory of your own.")
        return
    with found.about("data_dir"):
        if not folder.is_dir():
            found.fail("data_dir", f"{folder} is not a directory.")
            return
        # A subfolder may be left open: nobody else gets through its parent.
        readable = [each for each in (folder, *folder.iterdir()) if this_platform().is_open(each)]
        if readable:
            names = ", ".join(str(each) for each in readable[:3])
            found.fail("data_dir", f"open to other users: {names}. {this_platform().how_to_close(folder)}")
        elif not os.access(folder, os.W_OK | os.X_OK):
            found.fail("data_dir", f"{folder} cannot be written.")
        else:
            found.ok("data_dir", f"{folder}, {this_platform().said_of_closed}")


def _operations(found: Findings, settings: Settings) -> None:
    database, command = database_of(settings), Commands(settings)
    if isinstance(database, Path) and not database.exists():
        found.ok("store", "no operation yet; it is made when it is first needed")
        found.note("approver", f"none. To decide at a terminal: `{command('approver init')}`")
        return
    with found.about("store"):
        store = open_store(database)
        try:
            with found.waiting("Walking the journal"):
                status, verified = store.status(), store.verify()
            roster, halts = store.rosters().roster, store.halts()
            servers, policy = store.servers(SystemClock().now()), settings.policy.fingerprint
            unfinished = [
                each for account in settings.allowed_accounts for each in store.unfinished(settings.mode, account)
            ]
        finally:
            store.close()
        if not status.writable:
            found.fail("store", f"cannot be written: {status.reason}")
        elif not verified.intact:
            found.fail("store", f"the journal is broken: {verified.problem}. Keep it as evidence.")
        else:
            found.ok("store", f"writable, schema {status.schema_version}, {verified.entries} journal entries, intact")
        if roster is not None:
            found.ok("approver", "; ".join(_named(member) for member in roster.members))
        elif settings.policy.channel is Channel.DESK and settings.trading_enabled:
            found.fail("approver", f"none, and only the supervisor may decide. Run: `{command('approver init')}`")
        else:
            found.note("approver", f"none. To decide at a terminal: `{command('approver init')}`")
        if others := of_another_policy(servers, "", policy, settings.mode):
            found.note(
                "policy", f"servers of the store ({others}) go by other limits, accounts or rights than {policy}"
            )
        for halt in halts:
            scope = "" if halt.is_of_everything else f"{halt.scope}: "
            since = f"{quoted(halt.reason)} since {moment(halt.at)}"
            found.note("halt", f"{scope}{since}. It ends with: `{command('resume')}`")
        doubtful = [each.operation_id for each in unfinished if any(row.is_not_known for row in each.rows)]
        if doubtful:
            found.note("in doubt", f"{', '.join(doubtful)}. See: `{command(f'operations show {doubtful[0]}')}`")


def _tokens(found: Findings, settings: Settings) -> None:
    with found.about("tokens"):
        tokens = TokenFile(settings.folder).tokens()
        found.ok("tokens", f"{len(tokens)} over HTTP" if tokens else "none; they are needed for HTTP only")


def _clock(found: Findings, settings: Settings) -> None:
    now = SystemClock().now()
    built = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < built:
        found.fail("clock", f"{moment(now)} is before this program was installed, {moment(built)}.")
    else:
        found.ok("clock", f"{moment(now)}, {now:%a %H:%M} UTC")
    market = _paper_clock(found, settings, now) if settings.mode is Mode.PAPER else now
    with found.about("calendar"):
        state = NewYorkCalendar().state_at(market)
        what = "open" if state.current else "closed"
        whose = " by the paper clock" if settings.mode is Mode.PAPER else ""
        early = " (early close)" if state.next.early_close else ""
        session = f"{state.next.opens:%a %Y-%m-%d %H:%M}-{state.next.closes:%H:%M}{early}"
        found.ok("calendar", f"the market is {what}{whose}; next session {session} New York")


def _paper_clock(found: Findings, settings: Settings, now: datetime) -> datetime:
    """The time of the paper book, if there is one, or of the exchange that is elsewhere."""
    from positions_mcp.cli.assembly.composition import open_venue
    from positions_mcp.paper.database import FILE_NAME

    if settings.paper.url is not None:
        with open_venue(settings) as venue:
            problem, market = anyio.run(venue.follow), venue.clock.now()
        if problem:
            found.note("paper exchange", f"{settings.paper.url}: {problem}")
        else:
            found.ok("paper exchange", f"{settings.paper.url}, its clock says {moment(market)}")
        return market
    if not (settings.folder / FILE_NAME).exists():
        found.ok("paper book", "none yet; it is made when it is first needed")
        return now
    try:
        with open_venue(settings) as venue:
            market = venue.clock.now()
    except Exception as error:  # whatever a damaged file makes of the database library
        found.fail("paper book", f"{str(error).rstrip('.')}. To begin again: `{Commands(settings)('paper reset')}`")
        return now
    found.ok("paper book", f"its clock says {moment(market)}")
    return market


def _named(member: Member) -> str:
    credential = member.credentials[0]
    return f"{member.name} {credential.fingerprint}, since {moment(credential.created_at)}"

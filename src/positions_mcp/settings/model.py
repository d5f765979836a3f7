"""Every setting: its meaning, its default, and in `description` the form its value takes, as messages say it."""

from __future__ import annotations

import re
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr

from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.ids import AccountId, account_id
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel, Narrower, Policy
from positions_mcp.settings.oauth import OAuthSettings, PublicUrl
from positions_mcp.settings.values import host_names, listed, lower_case, not_a_number, not_a_yes_or_no, time_of_day

PAPER_ACCOUNT = AccountId(19816)
LIVE_DESK_ABOVE = Decimal(0)
LIMITS_TO_CHOOSE = ("max_notional", "max_daily_notional", "max_positions")

_DOLLARS = "dollars as a plain number, 0 or more, such as 50000"
_COUNT = "a whole number, 1 or more, such as 20"
_SECONDS = "seconds, at most 600, such as 30"
_YES_OR_NO = "true or false"
_SYMBOLS = 'symbols, such as AAPL,KO or in a file ["AAPL", "KO"]'


_SYMBOL = re.compile(r"[A-Za-z0-9./^*+ -]+", re.ASCII)


def _accounts(numbers: list[Any]) -> list[AccountId]:
    try:
        accounts = [account_id(int(each) if isinstance(each, str) else each) for each in numbers]
    except InvalidInput as error:
        raise ValueError("an account number") from error
    if not accounts or len(set(accounts)) < len(accounts):
        raise ValueError("one or more different accounts")
    return accounts


def _postgresql(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if text.startswith("postgres://"):
        return SecretStr(text.replace("postgres://", "postgresql://", 1))
    if not text.startswith(("postgresql://", "postgresql+psycopg://")):
        raise ValueError("a PostgreSQL URL")
    return url


def _symbols(names: list[Any]) -> list[str]:
    if any(not isinstance(name, str) or not _SYMBOL.fullmatch(name) for name in names):
        raise ValueError("symbols")
    return names


def _deadline(latest: time) -> time:
    return DeadlineRule(latest).latest


def _printable(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError("a path")
    return path


NO_LIMIT = "none"
"""Written by a person who chose to have no limit, which is not the same as none written."""

Dollars = Annotated[Decimal, BeforeValidator(not_a_yes_or_no), Field(ge=0)]
Count = Annotated[int, BeforeValidator(not_a_yes_or_no), Field(ge=1)]
CountFromZero = Annotated[int, BeforeValidator(not_a_yes_or_no), Field(ge=0)]
NoLimit = Annotated[Literal["none"], BeforeValidator(lower_case)]
YesOrNo = Annotated[bool, BeforeValidator(not_a_number)]
Seconds = Annotated[float, BeforeValidator(not_a_yes_or_no), Field(ge=0, le=600)]
Symbols = Annotated[frozenset[str], BeforeValidator(_symbols), BeforeValidator(listed)]


def _without_path(url: str) -> str:
    if urlsplit(url).path:
        raise ValueError("a path")
    return url


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(_Section):
    """Where operations are kept."""

    url: Annotated[SecretStr, AfterValidator(_postgresql)] | None = Field(
        None, description="a PostgreSQL URL: postgresql://USER@HOST/DATABASE"
    )
    """It may hold a password; None is SQLite in `data_dir`."""
    anchor_dir: Annotated[Path, AfterValidator(_printable)] | None = Field(None, description="the path of a folder")
    """Where servers note what they have seen of a journal in PostgreSQL; None is `data_dir`."""


class ApiSettings(_Section):
    """How the API is spoken to."""

    contract: Literal["auto", "seed", "summer", "current"] = Field("auto", description="auto, seed, summer or current")
    write_timeout_s: Annotated[Seconds, Field(gt=0)] = Field(30.0, description=f"more than 0 {_SECONDS}")
    max_requests: Count = Field(16, description=_COUNT)
    """Reads of one server that are under way at once; what is sent never waits for them."""
    hosts: Annotated[frozenset[str], BeforeValidator(host_names), BeforeValidator(listed)] = Field(
        frozenset(), description="names of hosts, such as gateway.example.com"
    )
    """Hosts that the live key may go to beside Clear Street's own and this machine."""


_CLEAR_STREET = "clearstreet"
"""No paper exchange is called that."""
_PAPER_URL = "It is the http:// address of a paper exchange, such as http://paper:8080"


def _paper_url(text: str) -> str:
    """An address that can be no real account's: real ones are on https only."""
    try:
        parts = urlsplit(text)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError(_PAPER_URL) from None
    more = "@" in parts.netloc or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme != "http" or not host or more or _CLEAR_STREET in host:
        raise ValueError(_PAPER_URL)
    return text.rstrip("/")


class PaperSettings(_Section):
    """The paper exchange: the embedded one, or another that is served at `url`."""

    url: Annotated[str, AfterValidator(_paper_url)] | None = Field(
        None, description="the http:// address of a paper exchange that runs elsewhere, such as http://paper:8080"
    )
    key: SecretStr = Field(SecretStr("paper.key"), description="the key of that exchange")

    scenario: str | None = Field(None, description="demo, expiry, large, rough, empty, or the path of a .toml file")
    contract: Literal["auto", "seed", "summer", "current"] = Field(
        "current", description="auto, seed, summer or current"
    )


class TradingSettings(_Section):
    """What may be asked for. See `positions_mcp.domain.operation.policy.Policy` for each limit."""

    enabled: YesOrNo | None = Field(None, description=_YES_OR_NO)
    allow_instruments: Symbols = Field(frozenset(), description=_SYMBOLS)
    deny_instruments: Symbols = Field(frozenset(), description=_SYMBOLS)
    max_notional: Dollars | NoLimit | None = Field(None, description=f"{_DOLLARS}, or none")
    max_daily_notional: Dollars | NoLimit | None = Field(None, description=f"{_DOLLARS}, or none")
    max_positions: Count | NoLimit | None = Field(None, description=f"{_COUNT}, or none")
    max_open_plans_per_caller: Count = Field(50, description=_COUNT)
    max_open_plans: Count = Field(500, description=_COUNT)
    max_operations_per_minute: Count | NoLimit = Field(20, description=f"{_COUNT}, or none")
    max_operations_per_day: Count | NoLimit = Field(500, description=f"{_COUNT}, or none")
    allow_close_all: YesOrNo = Field(default=True, description=_YES_OR_NO)
    allow_uncovered: YesOrNo = Field(default=False, description=_YES_OR_NO)
    exercise_deadline: Annotated[time, BeforeValidator(time_of_day), AfterValidator(_deadline)] = Field(
        time(17, 30), description="a New York time up to 17:30, such as 16:30"
    )
    tolerance: Annotated[Decimal, BeforeValidator(not_a_yes_or_no), Field(ge=0, le=1)] = Field(
        Decimal("0.10"), description="a fraction from 0 to 1, such as 0.10"
    )
    option_tolerance: Annotated[Decimal, BeforeValidator(not_a_yes_or_no), Field(ge=0, le=1)] = Field(
        Decimal("0.02"), description="a fraction from 0 to 1, such as 0.02"
    )
    halt_after: Count | None = Field(3, description=_COUNT)
    book_lag_s: Seconds = Field(600.0, description=f"0 or more {_SECONDS}")


class ApprovalSettings(_Section):
    """Who decides, and where."""

    channel: Literal["elicitation", "desk"] = Field("elicitation", description="elicitation or desk")
    desk_above: Dollars | None = Field(None, description=_DOLLARS)
    give_up_above: Dollars = Field(Decimal(100), description=_DOLLARS)
    two_persons_above: Dollars | NoLimit = Field("none", description=f"{_DOLLARS}, or none")
    two_persons_for_close_all: YesOrNo = Field(default=False, description=_YES_OR_NO)
    wait_s: Seconds = Field(45.0, description=f"0 or more {_SECONDS}")


class OverrideSettings(_Section):
    """Limits of one account, caller or right; each at most as wide as the common one of the same name."""

    max_notional: Dollars | None = Field(None, description=_DOLLARS)
    max_daily_notional: Dollars | None = Field(None, description=_DOLLARS)
    max_positions: Count | None = Field(None, description=_COUNT)
    max_open_plans_per_caller: Count | None = Field(None, description=_COUNT)
    max_operations_per_minute: Count | None = Field(None, description=_COUNT)
    max_operations_per_day: Count | None = Field(None, description=_COUNT)
    desk_above: Dollars | None = Field(None, description=_DOLLARS)
    two_persons_above: Dollars | None = Field(None, description=_DOLLARS)
    give_up_above: Dollars | None = Field(None, description=_DOLLARS)
    allow_close_all: YesOrNo | None = Field(None, description=_YES_OR_NO)
    allow_uncovered: YesOrNo | None = Field(None, description=_YES_OR_NO)


class LimitsSettings(_Section):
    """Narrower limits of accounts, callers and rights, from a file only; read by `positions_mcp.settings.sources`."""

    accounts: dict[int, OverrideSettings] = Field(
        default_factory=dict, description='tables in a --config file, such as [limits.accounts."19816"]'
    )
    callers: dict[str, OverrideSettings] = Field(
        default_factory=dict, description='tables in a --config file, such as [limits.callers."claude-desktop"]'
    )
    rights: dict[str, OverrideSettings] = Field(
        default_factory=dict, description="tables in a --config file, such as [limits.rights.traders]"
    )


class DeskSettings(_Section):
    """The supervisor's page beside a server."""

    enabled: YesOrNo = Field(default=True, description=_YES_OR_NO)
    port: Annotated[int, BeforeValidator(not_a_yes_or_no), Field(ge=0, le=65535)] = Field(
        8421, description="a port from 1 to 65535, or 0 for any"
    )
    public_url: Annotated[PublicUrl, AfterValidator(_without_path)] | None = Field(
        None, description="the https:// address of a desk that others reach, such as https://desk.example.com"
    )


class HttpSettings(_Section):
    """Callers over HTTP."""

    public_url: PublicUrl | None = Field(
        None,
        description="the https:// address at which clients find the server, such as https://trading.example.com/mcp",
    )
    max_sessions_per_caller: CountFromZero = Field(20, description="a whole number, 0 or more, such as 20")
    max_requests_at_once: Count = Field(32, description=_COUNT)
    max_requests_per_minute: Count | NoLimit = Field(600, description=f"{_COUNT}, or none")
    grace_s: Seconds = Field(0.0, description=f"0 or more {_SECONDS}")


class LogSettings(_Section):
    """What a server says of itself, on standard error."""

    format: Literal["text", "json"] = Field("text", description="text or json")


def default_data_dir() -> Path:
    """The platform's user data folder for this program. Raises ConfigurationError where the user has no home folder."""
    from platformdirs import user_data_path

    try:
        return user_data_path("positions-mcp", appauthor=False)
    except RuntimeError:
        raise ConfigurationError(
            "This user has no home folder, so there is no usual place for data.",
            hint="Name a folder: --data-dir FOLDER, or POSITIONS_MCP_DATA_DIR.",
        ) from None


class Settings(_Section):
    """A complete and consistent configuration; made by `load`."""

    mode: Mode = Field(Mode.PAPER, description="paper or live")
    accounts: Annotated[tuple[int, ...], BeforeValidator(_accounts), BeforeValidator(listed)] = Field(
        (), description="different account numbers, such as 19816 or 19816,19817"
    )
    data_dir: Annotated[Path, AfterValidator(_printable)] = Field(
        default_factory=default_data_dir, description="the path of a folder"
    )
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    paper: PaperSettings = PaperSettings()
    trading: TradingSettings = TradingSettings()
    limits: LimitsSettings = LimitsSettings()
    approval: ApprovalSettings = ApprovalSettings()
    desk: DeskSettings = DeskSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    oauth: OAuthSettings = OAuthSettings()

    _config_file: Path | None = PrivateAttr(None)

    @property
    def config_file(self) -> Path | None:
        """The file that --config named."""
        return self._config_file

    def from_file(self, config: Path | None) -> Settings:
        """These settings, which remember the --config file they were read with."""
        self._config_file = config
        return self

    @property
    def folder(self) -> Path:
        """`data_dir` as a whole path."""
        return self.data_dir.expanduser().absolute()

    @property
    def trading_enabled(self) -> bool:
        """Whether anything destructive may be asked for: as said, otherwise in paper only."""
        return self.mode is Mode.PAPER if self.trading.enabled is None else self.trading.enabled

    @property
    def allowed_accounts(self) -> tuple[AccountId, ...]:
        """The accounts that may be used: as said, otherwise the paper exchange's own."""
        return tuple(map(AccountId, self.accounts)) or (PAPER_ACCOUNT,)

    @property
    def limits_to_choose(self) -> tuple[str, ...]:
        """The limits that a person has to write before real money moves, a number or `none`."""
        if self.mode is Mode.PAPER:
            return ()
        return tuple(f"trading.{name}" for name in LIMITS_TO_CHOOSE if getattr(self.trading, name) is None)

    @property
    def policy(self) -> Policy:
        written = self.trading.model_dump(exclude={"enabled"})
        limits = {name: None if value == NO_LIMIT else value for name, value in written.items()}
        desk_above, two_above = self.approval.desk_above, self.approval.two_persons_above
        if desk_above is None and self.mode is Mode.LIVE:
            desk_above = LIVE_DESK_ABOVE
        return Policy(
            **limits,
            trading_enabled=self.trading_enabled,
            limits_to_choose=self.limits_to_choose,
            accounts=frozenset(self.allowed_accounts),
            channel=Channel(self.approval.channel),
            desk_above=desk_above,
            give_up_above=self.approval.give_up_above,
            for_accounts={AccountId(each): _narrower(limits) for each, limits in self.limits.accounts.items()},
            for_callers={name: _narrower(limits) for name, limits in self.limits.callers.items()},
            for_rights={name: _narrower(self.limits.rights.get(name)) for name in self.oauth.rights},
            signing_in=self.oauth.fingerprint(self.http.public_url),
            two_persons_above=None if two_above == NO_LIMIT else two_above,
            two_persons_for_close_all=self.approval.two_persons_for_close_all,
        )


def _narrower(limits: OverrideSettings | None) -> Narrower:
    return Narrower(**limits.model_dump()) if limits else Narrower()

"""The settings: where they come from, what they may be, and how a wrong one is said.

Precedence: command line, environment (`POSITIONS_MCP_…`), `--config FILE.toml`, the packaged `config/default.toml`.
The key and address of the live API come from `CLEAR_STREET_…` and are read only in live mode. A message about a
setting names its value, what is allowed, and the place to change it.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.packaged import config_dir

PREFIX = "POSITIONS_MCP_"
LIVE_URL = "https://api.clearstreet.com"
PAPER_ACCOUNT = AccountId(19816)
LIVE_DESK_ABOVE = Decimal(25_000)

Dollars = Annotated[Decimal, Field(ge=0)]


class AccountsNotNamed(ConfigurationError):
    """Live, and no configuration names the accounts that may be used."""


def _accounts(numbers: tuple[int, ...]) -> tuple[AccountId, ...]:
    if not numbers or any(number <= 0 for number in numbers) or len(set(numbers)) < len(numbers):
        raise ValueError("a list of different positive account numbers, such as [19816]")
    return tuple(AccountId(number) for number in numbers)


def _deadline(latest: time) -> time:
    return DeadlineRule(latest).latest


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(_Section):
    """Where operations are kept."""

    url: SecretStr | None = None
    """A PostgreSQL URL, which may hold a password; None is SQLite in `data_dir`."""


class ApiSettings(_Section):
    """How the API is spoken to."""

    contract: Literal["auto", "seed", "current"] = "auto"
    write_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class PaperSettings(_Section):
    """The embedded exchange."""

    scenario: Annotated[str, Field(min_length=1)] | None = None
    contract: Literal["seed", "current"] = "current"


class TradingSettings(_Section):
    """What may be asked for. See `positions_mcp.domain.operation.policy.Policy` for each limit."""

    enabled: bool | None = None
    allow_instruments: frozenset[str] = frozenset()
    deny_instruments: frozenset[str] = frozenset()
    max_notional: Dollars | None = None
    max_daily_notional: Dollars | None = None
    max_positions: Annotated[int, Field(ge=1)] | None = None
    allow_close_all: bool = True
    allow_uncovered: bool = False
    exercise_deadline: Annotated[time, AfterValidator(_deadline)] = time(17, 30)
    tolerance: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.10")
    halt_after: Annotated[int, Field(ge=1)] | None = 3


class ApprovalSettings(_Section):
    """Who decides, and where."""

    channel: Literal["elicitation", "desk"] = "elicitation"
    desk_above: Dollars | None = None
    wait_s: Annotated[float, Field(ge=0, le=600)] = 45.0


def default_data_dir() -> Path:
    """The platform's user data folder for this program."""
    from platformdirs import user_data_path

    return user_data_path("positions-mcp", appauthor=False)


class Settings(BaseSettings):
    """A complete and consistent configuration; made by `load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", validate_default=False
    )

    mode: Mode = Mode.PAPER
    accounts: Annotated[tuple[int, ...], AfterValidator(_accounts)] = ()
    data_dir: Path = Field(default_factory=default_data_dir)
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    paper: PaperSettings = PaperSettings()
    trading: TradingSettings = TradingSettings()
    approval: ApprovalSettings = ApprovalSettings()

    @property
    def trading_enabled(self) -> bool:
        """Whether anything destructive may be asked for: as said, otherwise in paper only."""
        return self.mode is Mode.PAPER if self.trading.enabled is None else self.trading.enabled

    @property
    def allowed_accounts(self) -> tuple[AccountId, ...]:
        """The accounts that may be used: as said, otherwise the paper exchange's own."""
        return tuple(map(AccountId, self.accounts)) or (PAPER_ACCOUNT,)

    @property
    def policy(self) -> Policy:
        """The limits, as the guard takes them."""
        limits = self.trading.model_dump(exclude={"enabled"})
        desk_above = self.approval.desk_above
        if desk_above is None and self.mode is Mode.LIVE:
            desk_above = LIVE_DESK_ABOVE
        return Policy(
            **limits,
            trading_enabled=self.trading_enabled,
            accounts=frozenset(self.allowed_accounts),
            channel=Channel(self.approval.channel),
            desk_above=desk_above,
        )


class LiveAccess(BaseModel):
    """Address and key of the live API. The key appears in no representation."""

    model_config = ConfigDict(frozen=True)

    base_url: str
    api_key: SecretStr


def load(options: Mapping[str, Any] | None = None, *, config: Path | None = None) -> Settings:
    """The settings from every source; the environment is that of the process.

    Args:
        options: what the command line says, nested as the settings are; None means not said.
        config: a TOML file of the user's.

    Raises:
        ConfigurationError: an unknown key or a value that is not allowed; AccountsNotNamed where live has none.
    """
    said = _without_none(options or {})
    files = [(f"the file {config}", _read(config))] if config else []
    files.append(("the packaged default.toml", _read(config_dir() / "default.toml")))
    _refuse_unknown_variables()

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_files = (InitSettingsSource(settings_cls, values) for _, values in files)
            return (init_settings, env_settings, dotenv_settings, file_secret_settings, *from_files)

    try:
        settings = Sourced(**said)
    except ValidationError as error:
        raise ConfigurationError(_mistakes(error, said, files)) from None
    except SettingsError as error:
        raise ConfigurationError(_unparsable(error)) from None
    if settings.mode is Mode.LIVE and not settings.accounts:
        raise AccountsNotNamed(
            "Live mode needs the accounts that may be used.",
            hint="Give --account NUMBER, POSITIONS_MCP_ACCOUNTS=[NUMBER], or `accounts = [NUMBER]` in a --config file.",
        )
    return settings


def live_access() -> LiveAccess:
    """Address and key of the live API, from `CLEAR_STREET_…` or the system's keyring.

    Raises:
        ConfigurationError: there is no key or more than one, or the address is not https.
    """
    url = os.environ.get("CLEAR_STREET_BASE_URL", LIVE_URL)
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        raise ConfigurationError(
            f"{parts.scheme or 'no scheme'}://{parts.hostname or ''} is not an address of the live API.",
            hint="CLEAR_STREET_BASE_URL must be https://…; http:// only for this machine. Unset it for the real one.",
        )
    return LiveAccess(base_url=url.rstrip("/"), api_key=SecretStr(_live_key()))


def _live_key() -> str:
    key, file = os.environ.get("CLEAR_STREET_API_KEY"), os.environ.get("CLEAR_STREET_API_KEY_FILE")
    if key and file:
        raise ConfigurationError("Both CLEAR_STREET_API_KEY and CLEAR_STREET_API_KEY_FILE are set.", hint="Unset one.")
    if file:
        try:
            key = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigurationError(f"CLEAR_STREET_API_KEY_FILE: {file} cannot be read: {reason}.") from None
    key = key or _keyring_key()
    if not key:
        raise ConfigurationError(
            "Live mode needs the API key.",
            hint="Set CLEAR_STREET_API_KEY, CLEAR_STREET_API_KEY_FILE, or run: keyring set positions-mcp api-key",
        )
    return key


def _keyring_key() -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        key: str | None = keyring.get_password("positions-mcp", "api-key")
    except KeyringError:
        return None
    return key


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The configuration {file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration {file} is not TOML: {error}.") from None


def _refuse_unknown_variables() -> None:
    known = {_variable(path): path for path in _paths(Settings)}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."
            raise ConfigurationError(f"{name} is not an environment variable of positions-mcp.", hint=hint)


def _mistakes(error: ValidationError, said: Mapping[str, Any], files: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    return " ".join(_mistake(each, said, files) for each in error.errors(include_url=False)[:3])


def _mistake(error: Any, said: Mapping[str, Any], files: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    path = tuple(str(part) for part in error["loc"])
    known = {".".join(each) for each in _paths(Settings)}
    while path and ".".join(path) not in known and error["type"] != "extra_forbidden":
        path = path[:-1]  # the place inside a value, such as an index of a list
    name, place = ".".join(path), _place(path, said, files)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        return f"{name} in {place} is not a setting. {f'Did you mean {near[0]}?' if near else 'Known: '}" + (
            "" if near else f"{', '.join(sorted(known))}."
        )
    # A store URL may hold a password.
    value = "its value" if path == ("store", "url") else repr(error["input"])
    return f"{name} = {value} is not allowed: {error['msg'].removeprefix('Value error, ')}. It comes from {place}."


def _unparsable(error: SettingsError) -> str:
    for path in _paths(Settings):
        variable = _variable(path)
        if f'"{path[-1]}"' in str(error) and variable in os.environ:
            value = "" if path == ("store", "url") else f" {os.environ[variable]!r}"
            return f"The environment variable {variable} is not JSON:{value}. A list is written [19816]."
    return str(error)


def _place(path: tuple[str, ...], said: Mapping[str, Any], files: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    if _holds(said, path):
        return f"the command line (--{path[-1].replace('_', '-').removesuffix('s')})"
    for length in range(len(path), 0, -1):
        if (variable := _variable(path[:length])) in {name.upper() for name in os.environ}:
            return f"the environment variable {variable}"
    return next((name for name, values in files if _holds(values, path)), files[-1][0])


def _holds(values: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _variable(path: Sequence[str]) -> str:
    return PREFIX + "__".join(path).upper()


def _paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (name,)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in _paths(field.annotation))


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    return {key: value for key, value in said.items() if value is not None and value != {}}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

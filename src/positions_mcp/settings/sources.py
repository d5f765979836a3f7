"""Reading the settings from the command line, the environment and files, and saying which of them is wrong.

A file may have tables with one for each name, `[limits.accounts."19816"]` and `[oauth.rights.traders]`: limits go
downwards only, and a right gives no other account.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.ids import account_id
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Narrower
from positions_mcp.packaged import config_dir, read_text
from positions_mcp.settings.model import OverrideSettings, Settings
from positions_mcp.settings.oauth import RightSettings
from positions_mcp.settings.values import shown, tidy

_KINDS = ("accounts", "callers", "rights")
_MODELS: Mapping[tuple[str, str], type[BaseModel]] = {
    **{("limits", kind): OverrideSettings for kind in _KINDS},
    ("oauth", "rights"): RightSettings,
}
_OF_APPROVAL = ("desk_above", "two_persons_above", "give_up_above")


def take(contents: dict[str, Any], place: str) -> dict[tuple[str, str], dict[Any, BaseModel]]:
    """Those of a file, taken out of its contents, by their setting.

    Raises ConfigurationError, which names what is wrong and where.
    """
    found = {}
    for section, kind in _MODELS:
        tables = contents.get(section)
        if isinstance(tables, dict) and isinstance(tables.get(kind), dict):
            found[section, kind] = _of_each(section, kind, tables.pop(kind), place)
    return found


def check(settings: Settings, listed: Collection[object]) -> None:
    """Raise ConfigurationError where they say what the other settings do not allow.

    That is a limit of a right or an account that there is not, or one that is wider than the common one, or a right
    that gives an account which the configuration does not have. `listed` are the accounts of the file: several servers
    may go by one file, each with some of them.
    """
    if unknown := sorted(settings.limits.rights.keys() - settings.oauth.rights.keys()):
        known = ", ".join(settings.oauth.rights) or "none"
        raise ConfigurationError(
            f'limits.rights."{unknown[0]}" is of no right: there is no [oauth.rights.{unknown[0]}].',
            hint=f"Rights of the configuration: {known}.",
        )
    mine = ", ".join(map(str, settings.allowed_accounts))
    numbers = [each for each in listed if isinstance(each, int)]
    if strange := sorted(settings.limits.accounts.keys() - {*settings.allowed_accounts, *numbers}):
        raise ConfigurationError(
            f'limits.accounts."{strange[0]}" is of an account that is not among accounts = {mine}.',
            hint="Correct its number, or leave it out: it would limit nothing.",
        )
    policy = settings.policy
    tables: tuple[Mapping[Any, Narrower], ...] = (policy.for_accounts, policy.for_callers, policy.for_rights)
    for dotted, limits in chain.from_iterable(map(_named, _KINDS, tables)):
        for name in policy.wider(limits):
            common = f"{'approval' if name in _OF_APPROVAL else 'trading'}.{name}"
            raise ConfigurationError(
                f"{dotted}.{name} = {shown(getattr(limits, name))} is wider than {common} = "
                f"{shown(getattr(policy, name))}.",
                hint="A limit of one account, caller or right may only be narrower.",
            )
    for name, right in settings.oauth.rights.items():
        if others := sorted(right.accounts - set(settings.allowed_accounts)):
            raise ConfigurationError(
                f"oauth.rights.{name}.accounts has {others[0]}, which is not among accounts = {mine}.",
                hint="A right can give no other account.",
            )


def _named(kind: str, limits: Mapping[Any, Narrower]) -> Iterator[tuple[str, Narrower]]:
    return ((f'limits.{kind}."{name}"', each) for name, each in limits.items())


def _of_each(section: str, kind: str, tables: Mapping[str, Any], place: str) -> dict[Any, BaseModel]:
    found: dict[Any, BaseModel] = {}
    for name, values in tables.items():
        dotted = f"{section}.{kind}.{name}" if section == "oauth" else f'{section}.{kind}."{name}"'
        key = _name(kind, name, f"{dotted} in {place}")
        if key in found:
            raise ConfigurationError(f"{dotted} in {place} is there twice.")
        found[key] = _table_of(_MODELS[section, kind], values, dotted, place)
    return found


def _name(kind: str, name: str, place: str) -> int | str:
    if kind == "rights":
        return name
    if kind == "callers":
        if not name.strip():
            raise ConfigurationError(f"{place} names nobody.", hint="Name a client, or a token's subject.")
        return name.strip().casefold()
    try:
        return account_id(int(name))
    except (ValueError, InvalidInput):
        raise ConfigurationError(f"{place} is not the number of an account.") from None


def _table_of(model: type[BaseModel], values: Any, dotted: str, place: str) -> BaseModel:
    fields = model.model_fields
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"{dotted} in {place} is not a table.", hint=f"Write [{dotted}], its settings below it."
        )
    for name in values:
        if name not in fields:
            known = ", ".join(fields)
            raise ConfigurationError(f"{dotted}.{name} in {place} is not a setting.", hint=f"Known: {known}.")
    try:
        return model.model_validate({name: tidy(value) for name, value in values.items()})
    except ValidationError as error:
        wrong = str(error.errors(include_url=False)[0]["loc"][0])
    except ValueError as error:
        raise ConfigurationError(f"{dotted} in {place} {error}.") from None
    said = f" = {shown(values[wrong])} in {place} is not allowed" if wrong in values else f" in {place} is missing"
    raise ConfigurationError(f"{dotted}.{wrong}{said}. It takes {fields[wrong].description}.")


PREFIX = "POSITIONS_MCP_"

SettingName = tuple[str, ...]
"""`("trading", "enabled")`."""


class AccountsNotNamed(ConfigurationError):
    """Live, and no configuration names the accounts that may be used."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A value, and where it was said."""

    value: Any
    place: str
    """`POSITIONS_MCP_MODE`, `--mode`, or `mode in the file mine.toml`."""


def load(
    options: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from every source: `options` are nested as the settings are, with None for what is not said.

    Raises ConfigurationError for an unknown key or a value that is not allowed; AccountsNotNamed where live has none.
    """
    said: dict[SettingName, _Said] = {}
    packaged = config_dir() / "default.toml"
    said |= _of_file(packaged, "the packaged default.toml")
    if config is not None:
        said |= _of_file(config, f"the file {config}")
    listed = said.get(("accounts",))
    said |= _of_environment(os.environ if environment is None else environment)
    said |= {name: _Said(value, _option(name)) for name, value in _leaves(options or {}) if value is not None}
    settings = _checked(said).from_file(config)
    check(settings, listed.value if listed and isinstance(listed.value, list) else ())
    if settings.mode is Mode.LIVE and not settings.accounts:
        raise AccountsNotNamed(
            "Live mode needs the accounts that may be used.",
            hint="Give --account NUMBER, POSITIONS_MCP_ACCOUNTS=NUMBER, or `accounts = [NUMBER]` in a --config file.",
        )
    return settings


def _of_environment(environment: Mapping[str, str]) -> dict[SettingName, _Said]:
    """The variables that are set; an empty one is not."""
    known = {PREFIX + "__".join(name).upper(): name for name in _names(Settings)}
    said = {}
    for variable, value in environment.items():
        if not variable.upper().startswith(PREFIX):
            continue
        if (name := known.get(variable.upper())) is None:
            raise ConfigurationError(
                f"{variable} is not an environment variable of positions-mcp.", hint=_near(variable.upper(), known)
            )
        if value.strip():
            said[name] = _Said(value, variable)
    return said


def _of_file(file: Path, place: str) -> dict[SettingName, _Said]:
    try:
        contents = tomllib.loads(read_text(file))
    except OSError as error:
        raise ConfigurationError(f"The configuration {file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration {file} is not TOML: {error}.") from None
    known = {".".join(name): name for name in _names(Settings)}
    said: dict[SettingName, _Said] = {
        name: _Said(found, f"{'.'.join(name)} in {place}") for name, found in take(contents, place).items()
    }
    for name, value in _leaves(contents):
        dotted = ".".join(name)
        if name in _SECTIONS:
            raise ConfigurationError(
                f"{dotted} in {place} is a section.", hint=f"Write [{dotted}] and its settings below it."
            )
        if name not in known.values():
            raise ConfigurationError(f"{dotted} in {place} is not a setting.", hint=_near(dotted, known))
        said[name] = _Said(value, f"{dotted} in {place}")
    return said


def _checked(said: Mapping[SettingName, _Said]) -> Settings:
    values: dict[str, Any] = {}
    wrong = []
    for name, each in said.items():
        try:
            value = tidy(each.value)
            if value == "":
                raise ValueError("is blank: leave it out")  # noqa: TRY301
        except ValueError as error:
            wrong.append(f"{each.place} {error}. It takes {_form(name)}.")
            continue
        section = values
        for part in name[:-1]:
            section = section.setdefault(part, {})
        section[name[-1]] = value
    if not wrong:
        try:
            return Settings.model_validate(values)
        except ValidationError as error:
            names = dict.fromkeys(_name_of(each["loc"]) for each in error.errors(include_url=False))
            wrong = [_not_allowed(name, said[name]) for name in names]
    raise ConfigurationError(" ".join(wrong[:3]))


def _not_allowed(name: SettingName, said: _Said) -> str:
    # A store URL may hold a password.
    value = "" if name == ("store", "url") else f" = {shown(said.value)}"
    return f"{said.place}{value} is not allowed. It takes {_form(name)}."


def _form(name: SettingName) -> str:
    """What the value of a setting looks like, as the model describes it."""
    model: type[BaseModel] = Settings
    for part in name[:-1]:
        model = _SECTIONS[(part,)]
    return str(model.model_fields[name[-1]].description)


def _name_of(location: tuple[int | str, ...]) -> SettingName:
    """The setting that a place inside its value belongs to."""
    return (str(location[0]), str(location[1])) if (str(location[0]),) in _SECTIONS else (str(location[0]),)


def _near(name: str, known: Mapping[str, SettingName]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."


def _option(name: SettingName) -> str:
    return "--account" if name == ("accounts",) else f"--{name[-1].replace('_', '-')}"


def _leaves(values: Mapping[str, Any], above: SettingName = ()) -> Iterator[tuple[SettingName, Any]]:
    """Every setting that is said in nested values; of a section that is no table, the section."""
    for key, value in values.items():
        name = (*above, key)
        if isinstance(value, Mapping) and name in _SECTIONS:
            yield from _leaves(value, name)
        else:
            yield name, value


def _names(model: type[BaseModel], above: SettingName = ()) -> Iterator[SettingName]:
    for key in model.model_fields:
        name = (*above, key)
        if name in _SECTIONS:
            yield from _names(_SECTIONS[name], name)
        else:
            yield name


_SECTIONS: dict[SettingName, type[BaseModel]] = {
    (name,): field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}

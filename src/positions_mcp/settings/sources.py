"""Reading the settings from the command line, the environment and files, and saying which of them is wrong."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.packaged import config_dir, read_text
from positions_mcp.settings import tables
from positions_mcp.settings.model import Settings
from positions_mcp.settings.values import shown, tidy

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
    tables.check(settings, listed.value if listed and isinstance(listed.value, list) else ())
    if settings.mode is Mode.LIVE and not settings.accounts:
        raise AccountsNotNamed(
            "Live mode needs the accounts that may be used.",
            hint="Give --account NUMBER, POSITIONS_MCP_ACCOUNTS=NUMBER, or `accounts = [NUMBER]` in a --config file.",
        )
    return settings


def _of_environment(environment: Mapping[str, str]) -> dict[SettingName, _Said]:
    """The variables that are set; an empty one is not."""
    known = {_variable(name): name for name in _names(Settings)}
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
        name: _Said(found, f"{'.'.join(name)} in {place}") for name, found in tables.take(contents, place).items()
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


def _variable(name: SettingName) -> str:
    return PREFIX + "__".join(name).upper()


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

"""Tables of a file with one for each name: limits of an account, caller or right, and what signed-in callers may use.

`[limits.accounts."19816"]` and `[oauth.rights.traders]`. Limits go downwards only, and a right gives no other account.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from pydantic import BaseModel, ValidationError

from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.ids import account_id
from positions_mcp.domain.operation.policy import Narrower
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
    if strange := sorted(settings.limits.accounts.keys() - {*settings.allowed_accounts, *filter(_is_number, listed)}):
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


def _is_number(listed: object) -> bool:
    return isinstance(listed, int)


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

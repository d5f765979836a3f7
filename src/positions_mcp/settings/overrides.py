"""Limits of an account, caller or right, in tables of a file: `[limits.accounts."19816"]`. Downwards only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.ids import account_id
from positions_mcp.domain.operation.policy import Narrower
from positions_mcp.settings.model import OverrideSettings, Settings
from positions_mcp.settings.values import shown, tidy

ModelT = TypeVar("ModelT", bound=BaseModel)

_KINDS = ("accounts", "callers", "rights")
_OF_APPROVAL = ("desk_above", "two_persons_above", "give_up_above")


def take(contents: dict[str, Any], place: str) -> dict[str, dict[Any, OverrideSettings]]:
    """The tables below `[limits]` of a file, taken out of its contents, by kind.

    Raises ConfigurationError, which names what is wrong and where.
    """
    section = contents.get("limits")
    if not isinstance(section, dict):
        return {}
    return {kind: _of_each(kind, section.pop(kind), place) for kind in _KINDS if isinstance(section.get(kind), dict)}


def check(settings: Settings) -> None:
    """Raise ConfigurationError where a limit is of a right that there is not, or wider than the common one."""
    if unknown := sorted(settings.limits.rights.keys() - settings.oauth.rights.keys()):
        known = ", ".join(settings.oauth.rights) or "none"
        raise ConfigurationError(
            f'limits.rights."{unknown[0]}" is of no right: there is no [oauth.rights.{unknown[0]}].',
            hint=f"Rights of the configuration: {known}.",
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


def _named(kind: str, limits: Mapping[Any, Narrower]) -> Iterator[tuple[str, Narrower]]:
    return ((f'limits.{kind}."{name}"', each) for name, each in limits.items())


def _of_each(kind: str, tables: Mapping[str, Any], place: str) -> dict[Any, OverrideSettings]:
    found: dict[Any, OverrideSettings] = {}
    for name, limits in tables.items():
        dotted = f'limits.{kind}."{name}"'
        key = _name(kind, name, f"{dotted} in {place}")
        if key in found:
            raise ConfigurationError(f"{dotted} in {place} is there twice.")
        found[key] = table_of(OverrideSettings, limits, dotted, place)
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


def table_of(model: type[ModelT], values: Any, dotted: str, place: str) -> ModelT:
    """One table of a file. Raises ConfigurationError, which names what is wrong, where, and what it takes."""
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

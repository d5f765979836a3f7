"""Which accounts signed-in callers may use, in tables of a configuration file: `[oauth.rights.traders]`."""

from __future__ import annotations

from typing import Any

from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.settings.model import Settings
from positions_mcp.settings.oauth import RightSettings
from positions_mcp.settings.overrides import table_of


def take(contents: dict[str, Any], place: str) -> dict[str, RightSettings] | None:
    """The tables below `[oauth.rights]` of a file, taken out of its contents; None where there are none.

    Raises ConfigurationError, which names what is wrong and where.
    """
    section = contents.get("oauth")
    if not isinstance(section, dict) or not isinstance(section.get("rights"), dict):
        return None
    tables = section.pop("rights")
    return {name: table_of(RightSettings, values, f"oauth.rights.{name}", place) for name, values in tables.items()}


def check(settings: Settings) -> None:
    """Raise ConfigurationError where a right gives an account that the configuration does not have."""
    for name, right in settings.oauth.rights.items():
        if others := sorted(right.accounts - set(settings.allowed_accounts)):
            raise ConfigurationError(
                f"oauth.rights.{name}.accounts has {others[0]}, which is not among accounts = "
                f"{', '.join(map(str, settings.allowed_accounts))}.",
                hint="A right can give no other account.",
            )

"""A setting's value as a person, a shell or a host hands it over, made into the one that is meant."""

from __future__ import annotations

import json
import re
from ipaddress import IPv6Address
from typing import Any

from positions_mcp.addresses import authority

_INVISIBLE = "\ufeff\u200b"
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_PLACEHOLDER = re.compile(r"\$\{|\{\{|^\$[A-Za-z_]|^%[^%]+%$|^<[^<>]*>$")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", re.ASCII)


def trimmed(text: str) -> str:
    """`text` without white space, line ends and byte order marks around it.

    Raises ValueError for quotes around it, or a placeholder that nothing has filled in; the message does not repeat it.
    """
    text = text.strip().strip(_INVISIBLE).strip()
    if text and (text[0] in _QUOTES or text[-1] in _QUOTES):
        raise ValueError("has quotes around its value: leave them out")
    if _PLACEHOLDER.search(text):
        raise ValueError("is a placeholder such as ${…} that nothing has filled in: give the value itself")
    return text


def tidy(value: Any) -> Any:
    """A value of any source, its texts trimmed. Raises ValueError as `trimmed`."""
    if isinstance(value, str):
        stripped = value.strip().strip(_INVISIBLE).strip()
        return stripped if stripped.startswith("[") else trimmed(value)
    if isinstance(value, list | tuple):
        return [tidy(item) for item in value]
    return value


def listed(value: Any) -> Any:
    """A list from a list, from `A,B`, from `["A", "B"]` or from one item. Raises ValueError as `trimmed`."""
    if isinstance(value, str):
        return [tidy(item) for item in _split(value)]
    if isinstance(value, list | tuple):
        return [part for item in value for part in (listed(item) if isinstance(item, str) else [item])]
    return [value] if isinstance(value, int) else value


def _split(text: str) -> list[Any]:
    if text.startswith("[") and text.endswith("]"):
        try:
            items: list[Any] = json.loads(text)
        except (ValueError, RecursionError):
            text = text[1:-1]
        else:
            return items
    return [item for item in text.split(",") if item.strip()]


def not_a_yes_or_no(value: Any) -> Any:
    """A number or text of one; true and false are neither. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004 — pydantic turns only a ValueError into a message
    return value


def not_a_number(value: Any) -> Any:
    """True, false, or a word for one; a number of a file is neither. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004
    return value


def lower_case(value: Any) -> Any:
    """A word, however it is written."""
    return value.lower() if isinstance(value, str) else value


def host_names(names: list[Any]) -> list[str]:
    """Names or addresses of hosts as they are compared, without ports. Raises ValueError."""
    found = [str(IPv6Address(n.strip("[]"))) if n.count(":") > 1 else authority(n, "") for n in map(str, names)]
    if not all(_HOST.fullmatch(host) or host.count(":") > 1 for host in found):
        raise ValueError("names of hosts")
    return found


def time_of_day(value: Any) -> Any:
    """`HH:MM` as text, or a time of TOML; a bare number is not seconds since midnight. Raises ValueError."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _TIME.fullmatch(value)):
        raise ValueError("HH:MM")
    return value


def shown(value: Any) -> str:
    """A value as a message repeats it: as it stands in TOML, and short."""
    from positions_mcp.domain.text import clean, quoted

    match value:
        case str():
            return quoted(value, 80)
        case bool():
            return str(value).lower()
        case list() | tuple():
            return clean(f"[{', '.join(map(shown, value))}]", 80)
        case dict():
            return "a table"
        case _:
            return clean(str(value), 80)

"""Addresses in one spelling, as they are compared: RFC 3986 knows no case of hosts, and no port that a scheme means.

A final dot, the zeros of an IPv6 address and a port that is empty say nothing either. What is no address stays as it
is, and is the same as nothing else.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
"""The ports that schemes mean."""
_AUTHORITY = re.compile(r"(\[[^\s/?#@\[\]\\]+\]|[^\s:/?#@\[\]\\]*[^\s:/?#@\[\]\\.])\.?(?::(\d{0,5}))?", re.ASCII)


def authority(text: str, scheme: str) -> str:
    """A host with its port, as the header `Host` has it."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return text
    host, port = found[1].lower(), int(found[2]) if found[2] else PORTS.get(scheme)
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return text
    return host if port == PORTS.get(scheme) else f"{host}:{port}"


def origin(text: str) -> str:
    """A scheme with an authority, as the header `Origin` has it."""
    scheme, mark, rest = text.partition("://")
    return f"{scheme.lower()}://{authority(rest, scheme.lower())}" if mark else text


def place(url: str) -> tuple[str, int]:
    """The host and the port at which a URL of http or https is reached."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]

"""Where the API is and by which key: checked before anything is sent there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from positions_mcp.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL without a trailing slash or version, whether it is this machine, and the key, shown to nobody."""

    base_url: str
    is_loopback: bool
    key: SecretStr

    @property
    def name(self) -> str:
        """Who answers there, within a sentence."""
        host = urlsplit(self.base_url).hostname or ""
        return "Clear Street" if f".{host}".endswith(".clearstreet.com") else f"the API at {self.base_url}"

    @classmethod
    def checked(cls, base_url: str, api_key: str, *, plain_http: bool = False) -> Endpoint:
        """The endpoint, if it is safe to send the key there; over plain http where it is known to be worth nothing.

        Raises:
            ConfigurationError: not https (http for this machine), credentials or a query in the URL, or a key that
                cannot stand in a header. The message repeats neither the key nor the URL.
        """
        given: tuple[object, ...] = (base_url, api_key)
        if not all(isinstance(each, str) for each in given):
            raise ConfigurationError("The base URL and the API key are text.")
        # A line break in the key would end the header, and the HTTP library's complaint would quote it.
        if not api_key or not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
            raise ConfigurationError(
                "The API key is empty or has characters that no key has.", hint="See CLEAR_STREET_API_KEY."
            )
        try:
            parts = urlsplit(base_url)
            scheme, host, _ = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            scheme, host = "", ""
        is_loopback = _is_loopback(host)
        # Credentials in a URL would replace the bearer token; a query or a fragment would swallow the path.
        if not host or not base_url.isprintable() or any(mark in base_url for mark in _MISLEADING):
            raise ConfigurationError("The base URL of the API cannot be used.", hint=_EXPECTED)
        if scheme != "https" and not (scheme == "http" and (is_loopback or plain_http)):
            raise ConfigurationError(f"The base URL of the API at {host} is not https.", hint=_EXPECTED)
        return cls(_VERSION.sub("", base_url.rstrip("/")), is_loopback, SecretStr(api_key))


_VERSION = re.compile(r"/+v1$")
"""Some write it into the URL, which every path begins with."""
_MISLEADING = ("@", "?", "#", "%", "\\", " ", "/.")
_EXPECTED = "It is an https:// address without credentials or query; http:// only for this machine."


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

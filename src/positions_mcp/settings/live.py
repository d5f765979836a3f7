"""Address and key of the live API: from the environment, a file or the system's keyring; checked, never shown."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from positions_mcp.addresses import origin
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.packaged import read_text
from positions_mcp.settings.oauth import is_this_machine
from positions_mcp.settings.values import trimmed

LIVE_URL = "https://api.clearstreet.com"
_DOMAIN = "clearstreet.com"
_KEY, _KEY_FILE, _URL = "CLEAR_STREET_API_KEY", "CLEAR_STREET_API_KEY_FILE", "CLEAR_STREET_BASE_URL"
_KEY_FORM = "the key alone, such as CLEAR_STREET_API_KEY=id.secret"
_URL_FORM = f"an address without a path, such as {LIVE_URL}; http:// only for this machine"


class LiveAccess(BaseModel):
    """Address and key of the live API. The key appears in no representation."""

    model_config = ConfigDict(frozen=True)

    base_url: str
    api_key: SecretStr


def live_access(hosts: Collection[str] = ()) -> LiveAccess:
    """Address and key of the live API, from `CLEAR_STREET_…` or the system's keyring.

    `hosts` are those that a person listed beside Clear Street's own and this machine. Raises ConfigurationError where
    there is no key or more than one, one of them cannot be what is meant, or the key must not go to that address.
    """
    return LiveAccess(base_url=_base_url(hosts), api_key=SecretStr(_key()))


def _base_url(hosts: Collection[str]) -> str:
    url = _variable(_URL, _URL_FORM) or LIVE_URL
    # The API's paths begin with /v1, and its documentation shows addresses with it.
    base = origin(url.rstrip("/").removesuffix("/v1").rstrip("/"))
    try:
        parts = urlsplit(base)
        _ = parts.port
        scheme, host = parts.scheme, "" if "@" in parts.netloc else parts.hostname or ""
    except ValueError:
        scheme, host = "", ""
    if not host or not (scheme == "https" or (scheme == "http" and is_this_machine(host))):
        raise ConfigurationError(f"{_URL} is not an address of the live API.", hint=f"It takes {_URL_FORM}.")
    if not (is_this_machine(host) or host == _DOMAIN or host.endswith(f".{_DOMAIN}") or host in hosts):
        raise ConfigurationError(
            f"{_URL}: {host} is not one of Clear Street's hosts, and the key goes nowhere else.",
            hint=f'If a person means it: api.hosts = ["{host}"] in a file for --config.',
        )
    return base


def _key() -> str:
    key, file = _variable(_KEY, _KEY_FORM), _variable(_KEY_FILE, "the path of a file that holds the key")
    if key and file:
        raise ConfigurationError(f"Both {_KEY} and {_KEY_FILE} are set.", hint="Unset one.")
    place = _KEY
    if file:
        place, key = f"The key in the file of {_KEY_FILE}", _of_file(file)
    elif not key:
        place, key = "The key in the system's keyring", _of_keyring()
    if not key:
        raise ConfigurationError(
            "Live mode needs the API key.",
            hint=f"Set {_KEY} or {_KEY_FILE}. With the extra `keyring`: keyring set positions-mcp api-key",
        )
    return _one_word(key, place)


def _of_file(file: str) -> str:
    try:
        text = read_text(Path(file).expanduser())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        hint = "It takes the path of a file that holds the key alone, on one line."
        raise ConfigurationError(f"{_KEY_FILE}: {file} cannot be read: {reason}.", hint=hint) from None
    key = _trimmed(text, f"The key in the file of {_KEY_FILE}", _KEY_FORM)
    if not key:
        raise ConfigurationError(f"{_KEY_FILE}: {file} is empty.", hint="It takes the key alone, on one line.")
    return key


def _of_keyring() -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return (keyring.get_password("positions-mcp", "api-key") or "").strip()
    except KeyringError as error:
        why = f"The system's keyring gives no key ({type(error).__name__})."
        raise ConfigurationError(why, hint=f"Unlock it, or set {_KEY} or {_KEY_FILE}.") from None


def _one_word(key: str, place: str) -> str:
    """The key, if it can be one. Its own text is never repeated."""
    for beginning in ("Bearer ", "Authorization:", f"{_KEY}=", f"export {_KEY}="):
        if key.lower().startswith(beginning.lower()):
            raise ConfigurationError(f'{place} begins with "{beginning.strip()}".', hint=f"It takes {_KEY_FORM}.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"{place} has spaces, line ends or characters that no key has.", hint=f"It takes {_KEY_FORM}."
        )
    return key


def _variable(name: str, form: str) -> str:
    """An environment variable, trimmed; an empty one is not set."""
    return _trimmed(os.environ.get(name, ""), name, form)


def _trimmed(text: str, place: str, form: str) -> str:
    try:
        return trimmed(text)
    except ValueError as error:
        raise ConfigurationError(f"{place} {error}.", hint=f"It takes {form}.") from None

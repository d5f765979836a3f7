"""How callers from elsewhere sign in: who issues their tokens, and which accounts a token's claims give."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from positions_mcp.addresses import origin
from positions_mcp.settings.values import listed, not_a_yes_or_no

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All of two keys. One key for both sides, and no signature, are not among them."""
SCOPES = ("positions:read", "positions:plan", "positions:ask")

_HTTPS = "an https:// address, such as"


def _address(text: str) -> str:
    """An https address, or an http one of this machine. Raises ValueError."""
    parts = urlsplit(text)
    host, _ = parts.hostname or "", parts.port
    more = "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text
    if not host or more or not text.isascii() or not text.isprintable() or " " in text or '"' in text:
        raise ValueError("an address")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(host)):
        raise ValueError("https")
    return text


def _public(text: str) -> str:
    parts = urlsplit(_address(text))
    return f"{origin(f'{parts.scheme}://{parts.netloc}')}{parts.path.rstrip('/')}"


def _algorithms(names: list[Any]) -> list[str]:
    if not names or any(name not in ALGORITHMS for name in names):
        raise ValueError("algorithms")
    return names


def _scopes(names: list[Any]) -> list[str]:
    if not names or any(name not in SCOPES for name in names):
        raise ValueError("scopes")
    return names


def _numbers(numbers: list[Any]) -> list[int]:
    found = [int(each) if isinstance(each, str) else each for each in numbers]
    if not found or any(isinstance(each, bool) or not isinstance(each, int) or each <= 0 for each in found):
        raise ValueError("account numbers")
    return found


def is_this_machine(host: str) -> bool:
    """Whether a host of an address is this machine, whatever any name server says."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Address = Annotated[str, AfterValidator(_address)]
PublicUrl = Annotated[str, AfterValidator(_public)]


class RightSettings(BaseModel):
    """What everybody has whose token says `value` in `claim`: a table `[oauth.rights.NAME]` of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field("sub", min_length=1, description='the name of a claim, such as "groups"')
    value: str = Field(min_length=1, description='what the claim is or has in its list, such as "desk-7"')
    accounts: Annotated[frozenset[int], BeforeValidator(_numbers), BeforeValidator(listed)] = Field(
        description="account numbers, such as [19816]"
    )
    scopes: Annotated[frozenset[str], BeforeValidator(_scopes), BeforeValidator(listed)] = Field(
        frozenset(SCOPES), description=f"some of {', '.join(SCOPES)}"
    )


class OAuthSettings(BaseModel):
    """The authorization server whose tokens are taken. This program issues none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Address | None = Field(None, description=f"{_HTTPS} https://login.example.com, exactly as tokens have it")
    audience: str | None = Field(
        None, min_length=1, description="what tokens for this server have as audience; http.public_url if left out"
    )
    jwks_url: Address | None = Field(None, description=f"{_HTTPS} https://login.example.com/jwks")
    algorithms: Annotated[tuple[str, ...], BeforeValidator(_algorithms), BeforeValidator(listed)] = Field(
        ("RS256", "PS256", "ES256", "EdDSA"), description=f"some of {', '.join(ALGORITHMS)}"
    )
    leeway_s: Annotated[float, BeforeValidator(not_a_yes_or_no), Field(ge=0, le=120)] = Field(
        30.0, description="0 to 120 seconds, such as 30"
    )
    first_challenge: Literal["all", "needed"] = Field("all", description="all or needed")
    rights: dict[str, RightSettings] = Field(
        default_factory=dict, description="tables in a --config file, such as [oauth.rights.traders]"
    )

    def fingerprint(self, public_url: str | None) -> str:
        """A short name of whose tokens are taken and what they give; none where nobody signs in."""
        if self.issuer is None:
            return ""
        rights = {
            name: [each.claim, each.value, sorted(each.accounts), sorted(each.scopes)]
            for name, each in self.rights.items()
        }
        said = [self.issuer, self.audience or public_url, rights]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

"""An issuer in the test's own process: its keys, the tokens that it signs, and those that somebody else has made up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from positions_mcp.domain.ids import AccountId
from positions_mcp.door.keys import Keys, KeysUnavailable
from positions_mcp.door.rights import Right
from positions_mcp.door.tokens import TokenChecker
from tools.serving import StandingClock

ISSUER = "https://login.example.com"
RESOURCE = "https://trading.example.com/mcp"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
ALL = "positions:read positions:plan positions:ask"
EVERYBODY_OF_DESK = Right("traders", "groups", "desk", frozenset({AccountId(19816)}))
LEEWAY = timedelta(seconds=30)


@cache
def key_of(kind: str, number: int = 0) -> Any:
    """A private key, made once."""
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "small":
        return rsa.generate_private_key(65537, 1024)
    return ed25519.Ed25519PrivateKey.generate() if kind == "OKP" else ec.generate_private_key(ec.SECP256R1())


KINDS = {"RS256": "RSA", "RS512": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}


def public(key: PrivateKeyTypes, name: str, algorithm: str, **said: Any) -> dict[str, Any]:
    """A key as a set of keys has it."""
    written = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**written, "kid": name, "use": "sig", **said}


@dataclass
class Issuer:
    """What it publishes, and how often it was asked."""

    clock: StandingClock = field(default_factory=StandingClock)
    keys: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    asked: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.keys = [public(key_of("RSA"), "a", "RS256")]

    async def read_keys(self) -> dict[str, Any]:
        self.asked += 1
        if self.down:
            raise KeysUnavailable("it is down")
        return {"keys": self.keys}

    def cache(self) -> Keys:
        """A server's own keys, by the test's time."""
        return Keys(self.read_keys, ALGORITHMS, now=lambda: self.seconds)

    def checker(self, keys: Keys | None = None) -> TokenChecker:
        return TokenChecker(
            keys or self.cache(),
            issuer=ISSUER,
            audience=RESOURCE,
            algorithms=ALGORITHMS,
            leeway=LEEWAY,
            clock=self.clock,
        )

    def claims(self, **said: Any) -> dict[str, Any]:
        """What a good token says; None leaves a claim out."""
        now = int(self.clock.now().timestamp())
        usual = {
            "iss": ISSUER,
            "aud": RESOURCE,
            "sub": "alice",
            "iat": now,
            "exp": now + 600,
            "scope": ALL,
            "groups": ["desk"],
            "client_id": "a client",
        }
        return {name: value for name, value in {**usual, **said}.items() if value is not None}

    def token(
        self,
        algorithm: str = "RS256",
        *,
        key: Any = None,
        kid: str | None = "a",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token that it signs."""
        said = {"typ": "at+jwt", **({"kid": kid} if kid is not None else {}), **(header or {})}
        return jwt.encode(self.claims(**claims), key or key_of(KINDS[algorithm]), algorithm=algorithm, headers=said)


def part(value: Any) -> str:
    """A part of a token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, *, key: Any = None) -> str:
    """A token that no library would make; signed as RS256 where there is a key."""
    signed = f"{part(header)}.{part(claims)}"
    signature = b""
    if key is not None:
        signature = jwt.get_algorithm_by_name("RS256").sign(signed.encode(), key)
    return f"{signed}.{part(signature)}"


def signed_with_the_public_key(issuer: Issuer) -> str:
    """HS256, and as its secret what everybody can read."""
    pem = key_of("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'a', 'typ': 'at+jwt'})}.{part(issuer.claims())}"
    return f"{signed}.{part(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"

"""A software authenticator with the browser around it: answers as `PublicKeyCredential.toJSON()` does."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "http://localhost:8421"
UP, UV, AT, ED = 0x01, 0x04, 0x40, 0x80
PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey


def b64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def from_b64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One device with one passkey. What is not as it should be is said by who uses it."""

    key: PrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    counter: int = 1
    step: int = 1
    """0 for one that does not count, as those that are synchronised between devices."""
    flags: int = UP | UV
    host: str = ""
    """Of the relying party; the page's where it is not said."""

    def makes(self, challenge: str, origin: str = ORIGIN, /, **said: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.create()`."""
        named = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + b"\xa0"
        client_data = {"type": "webauthn.create", "challenge": challenge, "origin": origin, "crossOrigin": False}
        public_key = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        response = {
            "clientDataJSON": b64(json.dumps({**client_data, **said}).encode()),
            "authenticatorData": b64(self._data(origin, AT) + named),
            "publicKey": b64(public_key),
            "publicKeyAlgorithm": -7,
            "attestationObject": b64(b"\xa0"),
            "transports": ["internal"],
        }
        return {**self._named(), "response": response}

    def signs(self, challenge: str | bytes, origin: str = ORIGIN, /, **said: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.get()`."""
        self.counter += self.step
        told = challenge if isinstance(challenge, str) else b64(challenge)
        client_data = {"type": "webauthn.get", "challenge": told, "origin": origin, "crossOrigin": False}
        written = json.dumps({**client_data, **said}).encode()
        data = self._data(origin)
        response = {
            "clientDataJSON": b64(written),
            "authenticatorData": b64(data),
            "signature": b64(self._signature(data + hashlib.sha256(written).digest())),
        }
        return {**self._named(), "response": response}

    def _named(self) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}}

    def _data(self, origin: str, more: int = 0) -> bytes:
        host = self.host or urlsplit(origin).hostname or ""
        return hashlib.sha256(host.encode()).digest() + bytes([self.flags | more]) + self.counter.to_bytes(4)

    def _signature(self, message: bytes) -> bytes:
        match self.key:
            case EllipticCurvePrivateKey():
                return self.key.sign(message, ECDSA(SHA256()))
            case Ed25519PrivateKey():
                return self.key.sign(message)
            case _:
                return self.key.sign(message, PKCS1v15(), SHA256())

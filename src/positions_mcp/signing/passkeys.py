"""Passkeys (WebAuthn): what a browser returned, checked against what a person was shown.

An assertion signs the authenticator's data and a hash of the client data, in which the browser itself wrote the
challenge and the address of the page. The challenge is SHA-256 of the canonical statement, so that the assertion is a
signature of that statement at that page. What an assertion needs of the authenticator's data stands at fixed places,
and a browser gives the public key as SubjectPublicKeyInfo: neither takes a CBOR library.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.statements import (
    Passkey,
    PasskeyAssertion,
    SignedStatement,
    Statement,
    relying_party_of,
)

ALGORITHMS = (-7, -8, -257)
"""ES256, EdDSA and RS256, as COSE numbers them, the one to prefer first."""
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
_HEAD = 32 + 1 + 4
_AAGUID = 16
_SHORTEST_RSA = 2048


class NotVerified(Refused):
    """What a browser returned is not what it would have to be. Nothing was decided."""


def check(passkey: Passkey, statement: Statement, assertion: PasskeyAssertion) -> None:
    """Raise NotVerified unless the passkey signed this statement at its own page, with the person verified."""
    if statement.origin != passkey.origin:
        raise NotVerified(
            f"The passkey {passkey.fingerprint} belongs to the page at {passkey.origin}, and this is another one.",
            hint="Nothing was decided. Open that page, or use the passphrase.",
        )
    _check_challenge(passkey, statement.challenge, assertion)


def _check_challenge(passkey: Passkey, challenge: bytes, assertion: PasskeyAssertion) -> None:
    client_data = _decoded(assertion.client_data)
    _check_client_data(client_data, "webauthn.get", challenge, passkey.origin)
    data = _decoded(assertion.authenticator_data)
    AuthenticatorData.read(data).check(passkey.origin)
    signed = data + hashlib.sha256(client_data).digest()
    if not _is_signed(bytes.fromhex(passkey.public_key), _decoded(assertion.signature), signed):
        raise NotVerified("The signature is not that of the passkey.", hint="Nothing was decided.")


def verifies(passkey: Passkey, statement: Statement, assertion: PasskeyAssertion) -> bool:
    """Whether the passkey signed this statement, at the origin that it names, with the person verified."""
    try:
        check(passkey, statement, assertion)
    except NotVerified:
        return False
    return True


def signed_by(passkey: Passkey, statement: Statement, answer: Mapping[str, Any]) -> SignedStatement:
    """The statement with what a browser answered, from the JSON of its `PublicKeyCredential`.

    Raises NotVerified where it is not a signature of this statement by this passkey.
    """
    assertion = _assertion(answer)
    if answer.get("id") != passkey.credential_id:
        raise NotVerified("Another passkey was used than the one that was asked for.", hint="Nothing was decided.")
    check(passkey, statement, assertion)
    return SignedStatement(statement=statement, signature=assertion)


def recognised(
    passkeys: Iterable[Passkey], challenge: bytes, answer: Mapping[str, Any]
) -> tuple[Passkey, PasskeyAssertion]:
    """Which of some passkeys answered a challenge: its owner is there. That decides nothing.

    Raises NotVerified where none did.
    """
    assertion = _assertion(answer)
    for passkey in passkeys:
        if answer.get("id") == passkey.credential_id:
            _check_challenge(passkey, challenge, assertion)
            return passkey, assertion
    raise NotVerified("That passkey is none of those that were asked for.", hint="Nobody was signed in.")


def _assertion(answer: Mapping[str, Any]) -> PasskeyAssertion:
    response = answer.get("response")
    if not isinstance(response, Mapping) or answer.get("type") != "public-key":
        raise NotVerified("That is not a passkey's signature.", hint="Nothing was decided.")
    names = {"authenticator_data": "authenticatorData", "client_data": "clientDataJSON", "signature": "signature"}
    return PasskeyAssertion(**{mine: encoded(_decoded(response.get(theirs))) for mine, theirs in names.items()})


def counted(assertion: PasskeyAssertion) -> int:
    """How often the authenticator says it has signed; 0 from one that does not count."""
    return AuthenticatorData.read(_decoded(assertion.authenticator_data)).counter


def enrolled(answer: Mapping[str, Any], *, challenge: bytes, origin: str, label: str, now: datetime) -> Passkey:
    """The passkey that a browser made, from the JSON of its `PublicKeyCredential`.

    Who made the authenticator is not asked, so no attestation is read: what makes the key a member's is the statement
    that endorses it. Raises NotVerified where it was made for another challenge or page, without the person verified,
    or of another kind.
    """
    response = answer.get("response")
    if not isinstance(response, Mapping) or answer.get("type") != "public-key":
        raise NotVerified("That is not a new passkey.", hint="Nothing was enrolled.")
    _check_client_data(_decoded(response.get("clientDataJSON")), "webauthn.create", challenge, origin)
    data = AuthenticatorData.read(_decoded(response.get("authenticatorData")))
    data.check(origin)
    if not data.credential_id or data.credential_id != _decoded(answer.get("id")):
        raise NotVerified("The authenticator names another credential.", hint="Nothing was enrolled.")
    public_key = _decoded(response.get("publicKey"))
    if _usable(public_key) is None:
        raise NotVerified(
            "The passkey's kind of key is not supported: ES256, EdDSA and RS256 are.", hint="Nothing was enrolled."
        )
    return Passkey(
        label=label,
        credential_id=encoded(data.credential_id),
        public_key=public_key.hex(),
        origin=origin,
        sign_count=data.counter,
        created_at=now,
    )


def encoded(value: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """What an authenticator says of itself when it signs."""

    relying_party_hash: bytes
    flags: int
    counter: int
    credential_id: bytes
    """Of a new credential; empty in an assertion."""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises NotVerified where it is too short."""
        if len(data) < _HEAD:
            raise NotVerified("The authenticator's data is too short.", hint="Nothing was decided.")
        flags, credential_id = data[32], b""
        if flags & _ATTESTED:
            begin = _HEAD + _AAGUID + 2
            credential_id = data[begin : begin + int.from_bytes(data[begin - 2 : begin])]
        return cls(data[:32], flags, int.from_bytes(data[33:_HEAD]), credential_id)

    def check(self, origin: str) -> None:
        """Raise NotVerified unless it is about the host of the page, and the person was there and verified."""
        if self.relying_party_hash != hashlib.sha256(relying_party_of(origin).encode()).digest():
            raise NotVerified("The passkey was used for another host.", hint="Nothing was decided.")
        if not (self.flags & _PRESENT and self.flags & _VERIFIED):
            raise NotVerified(
                "The authenticator did not verify who uses it.",
                hint="Nothing was decided. Use one that asks for a PIN, a fingerprint or a face.",
            )


def _check_client_data(client_data: bytes, kind: str, challenge: bytes, origin: str) -> None:
    try:
        said = json.loads(client_data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("type") != kind:
        raise NotVerified("What the browser signed is of another kind.", hint="Nothing was decided.")
    if said.get("challenge") != encoded(challenge):
        raise NotVerified("What the browser signed is not what was shown.", hint="Nothing was decided.")
    if said.get("origin") != origin or said.get("crossOrigin") not in (None, False) or "topOrigin" in said:
        raise NotVerified("It was signed at another page than the desk's own.", hint="Nothing was decided.")


def _is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    key = _usable(public_key)
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, message, ec.ECDSA(SHA256()))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, message)
            case rsa.RSAPublicKey():
                key.verify(signature, message, padding.PKCS1v15(), SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _usable(public_key: bytes) -> object:
    """The key, where it is of one of `ALGORITHMS`; None otherwise."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey(key_size=size) if size >= _SHORTEST_RSA:
            return key
        case _:
            return None


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise NotVerified("The browser's answer is incomplete.", hint="Nothing was decided.")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotVerified("The browser's answer cannot be read.", hint="Nothing was decided.") from None

"""A passkey signs one statement, at its own page, with the person verified; anything else is no signature."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authenticator import AT, ED, ORIGIN, UP, UV, Authenticator, b64, from_b64
from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion, Statement
from positions_mcp.signing.passkeys import NotVerified, check, counted, enrolled, verifies
from signing.people import ANA, NOW, yes

CHALLENGE = secrets.token_bytes(32)


@cache
def rsa_key(size: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, size)


def enrol(device: Authenticator, origin: str = ORIGIN) -> Passkey:
    return enrolled(device.makes(b64(CHALLENGE), origin), challenge=CHALLENGE, origin=origin, label="phone", now=NOW)


def statement_at(origin: str = ORIGIN, **changes: Any) -> Statement:
    return yes("Ana", ANA, origin=origin, **changes)


def assertion_of(answer: dict[str, Any]) -> PasskeyAssertion:
    said = answer["response"]
    return PasskeyAssertion(
        authenticator_data=said["authenticatorData"], client_data=said["clientDataJSON"], signature=said["signature"]
    )


@pytest.mark.requirement("D-01", "D-04")
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP256R1()), id="ES256"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, id="EdDSA"),
        pytest.param(lambda: rsa_key(2048), id="RS256"),
    ],
)
def test_a_passkey_of_each_kind_signs_what_was_shown_and_says_how_often_it_has(key: Any) -> None:
    device = Authenticator(key(), counter=7)
    passkey, statement = enrol(device), statement_at()
    assertion = assertion_of(device.signs(statement.challenge))
    check(passkey, statement, assertion)
    assert (passkey.sign_count, counted(assertion)) == (7, 8)
    assert passkey.origin == ORIGIN


@pytest.mark.requirement("D-01", "D-04")
@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "cd" * 32},
        {"operation": "op-2"},
        {"note": "another note"},
        {"decision": "reject"},
        {"name": "Ben"},
        {"expires_at": NOW.replace(hour=20)},
        {"purpose": "resume"},
        {"mode": "live"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signature_of_one_statement_is_none_of_another(changes: dict[str, Any]) -> None:
    device = Authenticator()
    assertion = assertion_of(device.signs(statement_at().challenge))
    assert not verifies(enrol(device), Statement.model_validate(statement_at().model_dump() | changes), assertion)


@pytest.mark.requirement("D-01", "D-04")
@pytest.mark.parametrize(
    ("device", "said"),
    [
        pytest.param({"flags": UP}, {}, id="the person was not verified"),
        pytest.param({"flags": UV}, {}, id="nobody was there"),
        pytest.param({"flags": 0}, {}, id="neither"),
        pytest.param({"host": "localhost.example"}, {}, id="another host"),
        pytest.param({}, {"origin": "http://localhost:8422"}, id="another port"),
        pytest.param({}, {"origin": "http://localhost"}, id="no port"),
        pytest.param({}, {"origin": "https://localhost:8421"}, id="another scheme"),
        pytest.param({}, {"origin": "http://127.0.0.1:8421"}, id="an address for the name"),
        pytest.param({}, {"origin": "http://localhost:8421.example"}, id="an origin that begins the same"),
        pytest.param({}, {"origin": None}, id="no origin"),
        pytest.param({}, {"crossOrigin": True}, id="a frame in another page"),
        pytest.param({}, {"topOrigin": ORIGIN}, id="a page around it"),
        pytest.param({}, {"type": "webauthn.create"}, id="the answer to an enrolment"),
        pytest.param({}, {"type": "payment.get"}, id="a payment"),
        pytest.param({}, {"challenge": b64(CHALLENGE)}, id="another challenge"),
        pytest.param({}, {"challenge": ""}, id="no challenge"),
    ],
)
def test_what_was_signed_elsewhere_or_by_nobody_in_person_is_no_signature(
    device: dict[str, Any], said: dict[str, Any]
) -> None:
    mine = Authenticator()
    passkey, statement = enrol(mine), statement_at()
    for name, value in device.items():
        setattr(mine, name, value)
    assertion = assertion_of(mine.signs(statement.challenge, **said))
    assert not verifies(passkey, statement, assertion)


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize(
    "damage",
    [
        {"signature": b64(b"\x30\x00")},
        {"signature": "A"},
        {"client_data": b64(b"{}")},
        {"client_data": b64(b"[" * 100_000)},
        {"client_data": b64(b"\xff\xfe")},
        {"authenticator_data": b64(bytes(36))},
        {"authenticator_data": b64(bytes(200))},
    ],
)
def test_a_damaged_assertion_is_no_signature_and_no_error(damage: dict[str, str]) -> None:
    device, statement = Authenticator(), statement_at()
    assertion = assertion_of(device.signs(statement.challenge))
    assert not verifies(enrol(device), statement, assertion.changed(**damage))


@pytest.mark.requirement("D-04")
def test_every_bit_of_the_authenticators_data_is_signed() -> None:
    device, statement = Authenticator(), statement_at()
    passkey, assertion = enrol(device), assertion_of(device.signs(statement.challenge))
    data = from_b64(assertion.authenticator_data)
    for place in range(len(data)):
        changed = bytes(byte ^ (number == place) for number, byte in enumerate(data))
        assert not verifies(passkey, statement, assertion.changed(authenticator_data=b64(changed)))


@pytest.mark.requirement("D-04")
def test_nobody_elses_passkey_signs() -> None:
    mine, other, statement = Authenticator(), Authenticator(), statement_at()
    other.credential_id = mine.credential_id
    assert not verifies(enrol(mine), statement, assertion_of(other.signs(statement.challenge)))


@pytest.mark.requirement("D-04")
def test_a_passkey_of_one_page_does_not_count_at_another_port_of_the_same_host() -> None:
    """The other page is honest about itself: the browser lets every port of a host ask for its passkeys."""
    device, elsewhere = Authenticator(), "http://localhost:9999"
    statement = statement_at(elsewhere)
    assertion = assertion_of(device.signs(statement.challenge, elsewhere))
    with pytest.raises(NotVerified, match="belongs to the page at http://localhost:8421"):
        check(enrol(device), statement, assertion)


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize(
    ("device", "said"),
    [
        pytest.param({"flags": UP}, {}, id="the person was not verified"),
        pytest.param({"flags": UV}, {}, id="nobody was there"),
        pytest.param({"host": "example.com"}, {}, id="another host"),
        pytest.param({}, {"origin": "http://localhost:8422"}, id="another port"),
        pytest.param({}, {"type": "webauthn.get"}, id="a signature"),
        pytest.param({}, {"challenge": b64(bytes(32))}, id="another challenge"),
        pytest.param({"credential_id": b""}, {}, id="no credential"),
        pytest.param({"key": ec.generate_private_key(ec.SECP384R1())}, {}, id="another curve"),
        pytest.param({"key": ec.generate_private_key(ec.SECP256K1())}, {}, id="a curve of coins"),
        pytest.param({"key": rsa_key(1024)}, {}, id="a short key"),
    ],
)
def test_a_passkey_made_otherwise_is_not_enrolled(device: dict[str, Any], said: dict[str, Any]) -> None:
    answer = Authenticator(**device).makes(b64(CHALLENGE), **said)
    with pytest.raises(NotVerified):
        enrolled(answer, challenge=CHALLENGE, origin=ORIGIN, label="phone", now=NOW)


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize(
    "damage",
    [
        {"response": None},
        {"type": "password"},
        {"id": b64(b"another one")},
        {"id": None},
        {"id": "ü"},
        *({"response": {name: None}} for name in ("clientDataJSON", "authenticatorData", "publicKey")),
        {"response": {"publicKey": b64(b"no key")}},
        {"response": {"publicKey": 7}},
        {"response": {"clientDataJSON": b64(b"7")}},
    ],
)
def test_a_damaged_answer_enrols_nothing(damage: dict[str, Any]) -> None:
    answer = Authenticator().makes(b64(CHALLENGE))
    response = damage.get("response", {})
    damaged = {**answer, **damage, "response": None if response is None else {**answer["response"], **response}}
    with pytest.raises(NotVerified):
        enrolled(damaged, challenge=CHALLENGE, origin=ORIGIN, label="phone", now=NOW)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8421", "http://[::1]:8421", "ftp://localhost", "localhost", ""])
def test_a_passkey_belongs_to_a_page_of_a_named_host(origin: str) -> None:
    passkey = enrol(Authenticator())
    with pytest.raises(ValueError, match="origin"):
        Passkey.model_validate({**passkey.model_dump(), "origin": origin})


def test_what_an_authenticator_adds_to_its_data_does_no_harm() -> None:
    device, statement = Authenticator(flags=UP | UV | ED), statement_at()
    passkey = enrol(device)
    device.flags |= AT
    answer = device.signs(statement.challenge)
    check(passkey, statement, assertion_of(answer))

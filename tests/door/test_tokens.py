"""Which tokens open the door, and which do not: made up, changed, of others, for others, too late and too early."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from door.signing import ISSUER, LEEWAY, RESOURCE, Issuer, by_hand, key_of, part, public, signed_with_the_public_key
from positions_mcp.door.tokens import BadToken

NOW = int(Issuer().clock.now().timestamp())
HEADER = {"alg": "RS256", "kid": "a", "typ": "at+jwt"}


def changed(token: str, **claims: Any) -> str:
    """The same signature over something else."""
    head, _, signature = token.split(".")
    return f"{head}.{part(Issuer().claims(**claims))}.{signature}"


def twice(issuer: Issuer) -> str:
    text = json.dumps(issuer.claims(sub="alice"))[:-1] + ', "sub": "bob"}'
    return by_hand(HEADER, text.encode(), key=key_of("RSA"))


def odd_number(value: str) -> Callable[[Issuer], str]:
    def make(issuer: Issuer) -> str:
        text = json.dumps(issuer.claims(exp=None))[:-1] + f', "exp": {value}}}'
        return by_hand(HEADER, text.encode(), key=key_of("RSA"))

    return make


BAD: dict[str, Callable[[Issuer], str]] = {
    "nothing that is a token": lambda _: "pmcp_0123456789",
    "two parts": lambda issuer: issuer.token().rpartition(".")[0],
    "five parts, encrypted": lambda issuer: f"{issuer.token()}.x.y",
    "not ASCII": lambda issuer: issuer.token()[:-1] + "é",
    "too long": lambda issuer: issuer.token(pad="x" * 20_000),
    "no algorithm": lambda issuer: by_hand({"kid": "a"}, issuer.claims(), key=key_of("RSA")),
    "algorithm none": lambda issuer: by_hand({"alg": "none", "kid": "a"}, issuer.claims()),
    "algorithm nOnE": lambda issuer: by_hand({"alg": "nOnE", "kid": "a"}, issuer.claims()),
    "an algorithm that is a list": lambda issuer: by_hand({"alg": ["RS256"]}, issuer.claims(), key=key_of("RSA")),
    "HS256 with the public key": signed_with_the_public_key,
    "an algorithm that is not allowed": lambda issuer: issuer.token("RS512"),
    "an algorithm that is not its key's": lambda issuer: issuer.token("ES256"),
    "another's key under its name": lambda issuer: issuer.token(key=key_of("RSA", 1)),
    "a key that it brings along": lambda issuer: issuer.token(
        key=key_of("RSA", 1), header={"jwk": public(key_of("RSA", 1), "a", "RS256")}
    ),
    "a key elsewhere": lambda issuer: issuer.token(
        key=key_of("RSA", 1), kid="b", header={"jku": "https://evil.example/keys"}
    ),
    "a name of a key that there is not": lambda issuer: issuer.token(kid="b"),
    "a name of a key that is no text": lambda issuer: by_hand({**HEADER, "kid": 7}, issuer.claims(), key=key_of("RSA")),
    "claims changed": lambda issuer: changed(issuer.token(), sub="bob"),
    "signature cut": lambda issuer: issuer.token()[:-8],
    "signature left out": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "something critical that is not understood": lambda issuer: issuer.token(header={"crit": ["x"], "x": 1}),
    "a payload that is detached": lambda issuer: by_hand(
        {**HEADER, "b64": False, "crit": ["b64"]}, issuer.claims(), key=key_of("RSA")
    ),
    "a token of another kind": lambda issuer: issuer.token(header={"typ": "logout+jwt"}),
    "a kind that is no text": lambda issuer: by_hand({**HEADER, "typ": 1}, issuer.claims(), key=key_of("RSA")),
    "claims that are a list": lambda issuer: by_hand(HEADER, [issuer.claims()], key=key_of("RSA")),
    "claims that are no JSON": lambda _: by_hand(HEADER, b"{", key=key_of("RSA")),
    "claims deeper than anything": lambda _: by_hand(HEADER, b"[" * 5_000, key=key_of("RSA")),
    "a claim that is there twice": twice,
    "another issuer": lambda issuer: issuer.token(iss="https://login.example.org"),
    "the issuer with a slash": lambda issuer: issuer.token(iss=f"{ISSUER}/"),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "for another server": lambda issuer: issuer.token(aud="https://other.example.com/mcp"),
    "for another path of this server": lambda issuer: issuer.token(aud=f"{RESOURCE}/v2"),
    "for its client, an ID token": lambda issuer: issuer.token(aud="a client"),
    "for nobody": lambda issuer: issuer.token(aud=None),
    "for a list of nobody": lambda issuer: issuer.token(aud=[]),
    "for something that is no text": lambda issuer: issuer.token(aud=[{"x": RESOURCE}]),
    "expired": lambda issuer: issuer.token(exp=NOW - 30),
    "without an end": lambda issuer: issuer.token(exp=None),
    "an end that is text": lambda issuer: issuer.token(exp="soon"),
    "an end that is true": lambda issuer: by_hand(HEADER, issuer.claims(exp=True), key=key_of("RSA")),
    "an end without end": odd_number("1e400"),
    "an end that is no number": odd_number("NaN"),
    "an end that is enormous": odd_number("9" * 400),
    "not yet": lambda issuer: issuer.token(nbf=NOW + 31),
    "made tomorrow": lambda issuer: issuer.token(iat=NOW + 86_400),
    "of nobody": lambda issuer: issuer.token(sub=None),
    "of a subject that is empty": lambda issuer: issuer.token(sub="  "),
    "of a subject that is a number": lambda issuer: by_hand(HEADER, issuer.claims(sub=7), key=key_of("RSA")),
    "of a subject longer than any": lambda issuer: issuer.token(sub="a" * 1_025),
    "bound to a key that is not shown": lambda issuer: issuer.token(cnf={"jkt": "x"}),
    "scopes that cannot be read": lambda issuer: issuer.token(scope={"positions:ask": True}),
}


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_token_opens_nothing_and_nothing_of_it_is_logged_or_repeated(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer()
    token = BAD[kind](issuer)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BadToken) as refused:
        await issuer.checker().check(token)
    told = f"{refused.value} {caplog.text}"
    assert not [piece for piece in token.split(".") if len(piece) > 5 and piece in told]
    assert not [secret for secret in ("alice", "desk", "jku", "evil") if secret in told]


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize(
    ("algorithm", "said"),
    [
        ("RS256", {}),
        ("PS256", {}),
        ("ES256", {}),
        ("EdDSA", {}),
        ("RS256", {"aud": ["https://other.example.com", RESOURCE]}),
        ("RS256", {"exp": NOW - 29}),
        ("RS256", {"nbf": NOW + 30, "iat": NOW + 30}),
        ("RS256", {"exp": NOW + 0.5}),
        ("RS256", {"scope": None, "scp": ["positions:read", "positions:plan", "positions:ask"]}),
        ("RS256", {"header": {"typ": "JWT"}}),
        ("RS256", {"header": {"typ": "application/at+jwt"}}),
        ("RS256", {"kid": None}),
    ],
)
async def test_a_good_token_says_whose_it_is_and_what_for(algorithm: str, said: dict[str, Any]) -> None:
    issuer = Issuer()
    if algorithm != "RS256":
        issuer.keys = [public(key_of({"PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[algorithm]), "a", algorithm)]
    found = await issuer.checker().check(issuer.token(algorithm, **said))
    assert (found.issuer, found.subject) == (ISSUER, "alice")
    assert found.scopes == {"positions:read", "positions:plan", "positions:ask"}


async def test_a_token_is_good_until_its_end_and_the_leeway_and_no_longer() -> None:
    issuer = Issuer()
    token = issuer.token(exp=NOW + 60)
    checker = issuer.checker()
    issuer.clock.advance(timedelta(seconds=60) + LEEWAY - timedelta(seconds=1))
    assert (await checker.check(token)).expires_at == NOW + 60 + LEEWAY.total_seconds()
    issuer.clock.advance(timedelta(seconds=1))
    with pytest.raises(BadToken, match="has expired"):
        await checker.check(token)


NO_KEYS = {
    "encrypts": public(key_of("RSA"), "a", "RS256", use="enc"),
    "signs only": public(key_of("RSA"), "a", "RS256", key_ops=["sign"]),
    "of another algorithm": public(key_of("RSA"), "a", "RS256", alg="RS512"),
    "too small": public(key_of("small"), "a", "RS256"),
    "private": {**public(key_of("RSA"), "a", "RS256"), "d": "AQAB"},
    "shared": {"kty": "oct", "kid": "a", "k": part(b"x" * 32)},
    "broken": {"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"},
    "of another kind": public(key_of("EC"), "a", "ES256"),
}


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize("kind", NO_KEYS)
async def test_what_is_no_key_for_verifying_signatures_verifies_none(kind: str) -> None:
    issuer = Issuer()
    issuer.keys = [NO_KEYS[kind], public(key_of("EC", 1), "other", "ES256")]
    signer = key_of("small" if kind == "too small" else "RSA")
    with pytest.warns() if kind == "too small" else nullcontext():
        token = issuer.token(key=signer)
    with pytest.raises(BadToken):
        await issuer.checker().check(token)

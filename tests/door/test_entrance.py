"""Where a server may be reached, and by what: never in clear from elsewhere, and never by somebody unknown."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from door.signing import key_of
from positions_mcp.cli.serving.desk_host import desk_origins
from positions_mcp.cli.serving.entrance import Certificate, Entrance
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.operating.readiness import Found
from positions_mcp.settings import load

SIGN_IN = """
[http]
public_url = "https://trading.example.com/mcp"
[oauth]
issuer = "https://login.example.com"
[oauth.rights.traders]
claim = "groups"
value = "desk"
accounts = [19816]
"""


def certificate(
    folder: Path, number: int = 0, passphrase: bytes = b"", days: tuple[float, float] = (-1_000, 2)
) -> tuple[Path, Path]:
    """A certificate of this machine by itself, and its key."""
    key = key_of("EC", number)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"a server {number}")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number + 1)
        .not_valid_before(datetime.now(UTC) + timedelta(days=days[0]))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days[1]))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"cert{number}.pem", folder / f"key{number}.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return files


def entrance(tmp_path: Path, config: str = SIGN_IN, host: str | None = None, **said: Any) -> Entrance:
    file = tmp_path / "mine.toml"
    file.write_text(config)
    return Entrance.of(host, **said).for_callers(load(config=file, environment={}))


def _tls(folder: Path, **said: Any) -> dict[str, Any]:
    return dict(zip(("tls_cert", "tls_key"), certificate(folder, **said), strict=True))


REFUSED: dict[str, tuple[str, Callable[[Path], dict[str, Any]], str]] = {
    "elsewhere in clear": (SIGN_IN, lambda _: {"host": "0.0.0.0"}, "listens on this machine only"),
    "elsewhere in clear by its own address": (SIGN_IN, lambda _: {"host": "10.1.2.3"}, "listens on this machine only"),
    "TLS without signing in": ("", _tls, "no authorization server is set"),
    "a proxy without signing in": ("", lambda _: {"behind_proxy": ["10.0.0.5"]}, "no authorization server is set"),
    "a certificate without a key": (SIGN_IN, lambda p: {"tls_cert": certificate(p)[0]}, "TLS takes two files"),
    "a key without a certificate": (SIGN_IN, lambda p: {"tls_key": certificate(p)[1]}, "TLS takes two files"),
    "files that are not there": (
        SIGN_IN,
        lambda p: {"tls_cert": p / "no.pem", "tls_key": p / "no.pem"},
        "No such file or directory",
    ),
    "another's key": (
        SIGN_IN,
        lambda p: {"tls_cert": certificate(p)[0], "tls_key": certificate(p, 1)[1]},
        "they are no pair in PEM",
    ),
    "a key with a passphrase": (
        SIGN_IN,
        lambda p: dict(zip(("tls_cert", "tls_key"), certificate(p, 2, b"secret"), strict=True)),
        "has no passphrase",
    ),
    "a certificate that has expired": (SIGN_IN, lambda p: _tls(p, days=(-30, -0.01)), "only. No client"),
    "a certificate that is not good yet": (SIGN_IN, lambda p: _tls(p, days=(0.01, 30)), "only. No client"),
    "any proxy there is": (SIGN_IN, lambda _: {"behind_proxy": ["0.0.0.0/0"]}, "names no proxy"),
    "a proxy by name": (SIGN_IN, lambda _: {"behind_proxy": ["proxy"]}, "names no proxy"),
    "a network that is none": (SIGN_IN, lambda _: {"behind_proxy": ["10.0.0.5/24"]}, "give 10.0.0.0/24 if all"),
    "a name to listen at": (
        SIGN_IN,
        lambda _: {"behind_proxy": ["10.0.0.5"], "host": "example.com"},
        "is not an address",
    ),
    "no public address": (
        SIGN_IN.replace("public_url", "# public_url"),
        _tls,
        "http.public_url is not set",
    ),
    "a public address in clear": (
        SIGN_IN.replace("https://trading.example.com", "http://localhost:8420"),
        _tls,
        "is not https",
    ),
    "nobody with a right": (SIGN_IN.partition("[oauth.rights")[0], _tls, "oauth.rights is empty"),
}


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize("kind", REFUSED)
def test_a_server_that_others_could_reach_in_clear_or_unknown_does_not_start(kind: str, tmp_path: Path) -> None:
    config, said, why = REFUSED[kind]
    with pytest.raises(ConfigurationError, match=why) as refused:
        entrance(tmp_path, config, **said(tmp_path))
    assert str(refused.value).count(".") >= 2, "it says what to do"


def test_without_an_authorization_server_callers_have_tokens_of_this_programs_on_this_machine(tmp_path: Path) -> None:
    found = entrance(tmp_path, "")
    assert (str(found.address), found.certificate, found.proxies, found.public_url) == ("127.0.0.1", None, (), None)
    assert found.addresses(8420) == ("http://127.0.0.1:8420", "http://localhost:8420", "http://[::1]:8420")


def test_only_the_public_address_is_one_for_callers_who_sign_in(tmp_path: Path) -> None:
    found = entrance(tmp_path, host="0.0.0.0", behind_proxy=["10.0.0.5", "fd00::/64"])
    assert found.addresses(8420) == ("https://trading.example.com",)
    at_port = SIGN_IN.replace("example.com/mcp", "Example.com:8420/mcp/")
    assert entrance(tmp_path, at_port, **_tls(tmp_path)).addresses(1) == ("https://trading.example.com:8420",)
    assert entrance(tmp_path).public_url == "https://trading.example.com/mcp"


@pytest.mark.parametrize("there", ["Trading.Example.COM", "trading.example.com:443", "trading.example.com."])
def test_the_public_address_is_the_same_in_every_spelling(there: str, tmp_path: Path) -> None:
    found = entrance(tmp_path, SIGN_IN.replace("trading.example.com", there), **_tls(tmp_path))
    assert found.public_url == "https://trading.example.com/mcp"
    assert found.addresses(1) == ("https://trading.example.com",)


def test_at_the_port_that_http_means_clients_name_none(tmp_path: Path) -> None:
    assert entrance(tmp_path, "").addresses(80) == ("http://127.0.0.1", "http://localhost", "http://[::1]")
    assert desk_origins(80) == ["http://localhost", "http://127.0.0.1", "http://[::1]"]


def test_a_renewed_certificate_is_used_and_half_of_a_new_pair_is_not(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    found = Certificate(cert, key)
    assert _serial(found, cert) == "01"
    newer = certificate(tmp_path, 1)
    newer[0].replace(cert)
    with pytest.raises(ConfigurationError):
        found.renew()
    found.renew()  # said once
    newer[1].replace(key)
    found.renew()
    assert _serial(found, cert) == "02"


async def test_a_certificate_that_expires_is_not_ready_and_an_expired_one_replaces_none(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    found = Certificate(cert, key)
    assert await found.look() == {"certificate": Found()}
    certificate(tmp_path, days=(-30, -1))
    with pytest.raises(ConfigurationError, match="is good from"):
        found.renew()
    assert await found.look() == {"certificate": Found()}
    found.ends_at = datetime.now(UTC)
    assert await found.look() == {"certificate": Found("it has expired", blocks=True)}


def _serial(found: Certificate, trusted: Path) -> Any:
    """What a client sees, without a network."""
    asking = ssl.create_default_context(cafile=str(trusted))
    ends = [ssl.MemoryBIO() for _ in range(4)]
    client = asking.wrap_bio(ends[0], ends[1], server_hostname="localhost")
    server = found.context.wrap_bio(ends[2], ends[3], server_side=True)
    for _ in range(4):
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            ends[2].write(ends[1].read())
            ends[0].write(ends[3].read())
    certificate_seen = client.getpeercert()
    assert certificate_seen
    return certificate_seen["serialNumber"]

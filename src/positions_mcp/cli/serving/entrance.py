"""Where the server over HTTP may be reached: on this machine, or elsewhere by TLS or behind a proxy."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from positions_mcp.addresses import origin
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.text import label
from positions_mcp.identity import MANUAL
from positions_mcp.operating.readiness import Found
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings

DEFAULT_HOST = "127.0.0.1"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ELSEWHERE = (
    "Leave --host out, or use 127.0.0.1, ::1 or localhost. For callers on other machines: --tls-cert and --tls-key, or "
    f"--behind-proxy, and {MANUAL}/sign-in.md"
)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Certificate:
    """The certificate and key of the server's own TLS, which may be replaced while it runs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._read_as = self._stamp()
        self.ends_at = datetime.max.replace(tzinfo=UTC)
        """After which no client takes it."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(self.context)

    def renew(self) -> None:
        """Use what the files hold from now on. Raises ConfigurationError, and then it stays as it is."""
        if (stamp := self._stamp()) != self._read_as:
            self._read_as = stamp
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # half of a pair must not be taken
            self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")
            begins_at, ends_at = _good_between(certificate.read_bytes())
        except (OSError, ValueError) as error:
            why = (
                error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "they are no pair in PEM"
            )
            raise ConfigurationError(
                f"--tls-cert {certificate} and --tls-key {key} cannot be used: {why}.",
                hint="They take a certificate with its chain and its key, which has no passphrase.",
            ) from None

        if not begins_at <= SystemClock().now() < ends_at:
            raise ConfigurationError(
                f"--tls-cert {certificate} is good from {begins_at:%Y-%m-%d} to {ends_at:%Y-%m-%d} only.",
                hint="No client would take it. Renew it.",
            )
        self.ends_at = ends_at

    async def look(self) -> Mapping[str, Found]:
        over = SystemClock().now() >= self.ends_at
        return {"certificate": Found("it has expired", blocks=True) if over else Found()}

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = [file.stat() for file in self._files]
            return tuple(number for each in found for number in (each.st_mtime_ns, each.st_ino))
        except OSError:
            return ()


@dataclass(frozen=True, slots=True)
class Entrance:
    """How clients come to the server, and what stands between."""

    address: IpAddress = field(default_factory=lambda: ipaddress.IPv4Address(DEFAULT_HOST))
    certificate: Certificate | None = None
    proxies: tuple[Network, ...] = ()
    """Those whose word about a request is taken; none where there is no proxy."""
    public_url: str | None = None
    """Where callers who sign in find the server; None where callers have tokens of this program's."""

    @classmethod
    def of(
        cls,
        host: str | None,
        *,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        behind_proxy: Sequence[str] = (),
    ) -> Entrance:
        """What a command line asks for.

        Raises ConfigurationError where other machines could reach the server in clear.
        """
        certificate, proxies = _certificate(tls_cert, tls_key), tuple(map(_network, behind_proxy))
        address = _address(host or DEFAULT_HOST, anywhere=certificate is not None or bool(proxies))
        return cls(address, certificate, proxies)

    @property
    def is_guarded(self) -> bool:
        """Whether something stands between the server and who comes from other machines."""
        return self.certificate is not None or bool(self.proxies)

    def for_callers(self, settings: Settings) -> Entrance:
        """The same for agents' clients. Raises ConfigurationError where nobody could know who calls."""
        signs_in = settings.oauth.issuer is not None
        if self.is_guarded and not signs_in:
            raise ConfigurationError(
                "Callers from other machines sign in, and no authorization server is set.",
                hint=f"Set oauth.issuer, http.public_url and oauth.rights: {MANUAL}/sign-in.md",
            )
        url = _public_url(settings, is_guarded=self.is_guarded) if signs_in else None
        return replace(self, public_url=url)

    def for_approvers(self, settings: Settings) -> Entrance:
        """The same for the supervisor's page, where people sign in with what the roster has of them.

        Raises ConfigurationError where other machines could reach the page under a name that it does not know.
        """
        url = settings.desk.public_url if self.is_guarded else None
        if self.is_guarded and (url is None or urlsplit(url).scheme != "https"):
            raise ConfigurationError(
                "A desk for other machines has an https address: desk.public_url is not set, or is none.",
                hint=f'Set desk.public_url = "https://desk.example.com": {MANUAL}/deployment.md',
            )
        return replace(self, public_url=url)

    def addresses(self, port: int) -> tuple[str, ...]:
        """What a request may name as its host, and a page as its origin."""
        if self.public_url is None:
            return tuple(origin(f"http://{name}:{port}") for name in _LOOPBACK)
        parts = urlsplit(self.public_url)
        return (origin(f"{parts.scheme}://{parts.netloc}"),)

    def url(self, listener: socket.socket) -> str:
        """Where clients find the server."""
        host, port = listener.getsockname()[:2]
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"


ON_THIS_MACHINE = Entrance()


def add_entrance_options(parser: argparse.ArgumentParser, what: str = "") -> None:
    parser.add_argument("--host", metavar="ADDRESS", help=f"{what}this machine's own address (127.0.0.1)")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help=f"{what}a certificate and its chain, in PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help=f"{what}the certificate's key, in PEM")
    parser.add_argument(
        "--behind-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        help=f"{what}a proxy with TLS before this server, by address or network; may be repeated",
    )


def entrance_of(arguments: argparse.Namespace) -> Entrance:
    return Entrance.of(
        arguments.host, tls_cert=arguments.tls_cert, tls_key=arguments.tls_key, behind_proxy=arguments.behind_proxy
    )


@contextmanager
def listening_socket(address: IpAddress, port: int) -> Iterator[socket.socket]:
    """A bound socket; port 0 takes a free one. Raises ConfigurationError where it cannot be bound."""
    try:
        listener = bound_socket(str(address), port)
    except OSError as error:
        why = f"Port {port} on {address} cannot be used: {error.strerror}."
        raise ConfigurationError(why, hint="Give another --port.") from None
    with listener:
        yield listener


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine's own. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only where the socket names TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        this_platform().claim_port(listener)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _good_between(pem: bytes) -> tuple[datetime, datetime]:
    from cryptography.x509 import load_pem_x509_certificate

    leaf = load_pem_x509_certificate(pem)
    return leaf.not_valid_before_utc, leaf.not_valid_after_utc


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    if (certificate is None) != (key is None):
        raise ConfigurationError("TLS takes two files.", hint="Give both --tls-cert FILE and --tls-key FILE.")
    return Certificate(certificate, key) if certificate and key else None


def _address(host: str, *, anywhere: bool) -> IpAddress:
    try:
        address = ipaddress.ip_address(DEFAULT_HOST if host == "localhost" else host)
    except ValueError:
        if anywhere:
            raise ConfigurationError(
                f"--host {label(host)} is not an address.", hint="Use 0.0.0.0, :: or one of this machine's own."
            ) from None
        address = None
    if address is None or not (anywhere or address.is_loopback):
        raise ConfigurationError(
            f"This server listens on this machine only, and {label(host)} is not on it.", hint=_ELSEWHERE
        )
    return address


def _network(text: str) -> Network:
    hint = "It takes an address or a network, such as 10.0.0.5 or 10.0.0.0/28, and may be repeated."
    with suppress(ValueError):
        written = ipaddress.ip_interface(text)
        network = written.network
        if network.prefixlen and written.ip == network.network_address:
            return network
        if network.prefixlen:
            hint = f"It is an address within {network}: give {network} if all of it are proxies, or the address alone."
    raise ConfigurationError(f"--behind-proxy {label(text)} names no proxy.", hint=hint)


def _public_url(settings: Settings, *, is_guarded: bool) -> str:
    url, hint = settings.http.public_url, f"An example: {MANUAL}/sign-in.md"
    if url is None:
        raise ConfigurationError("Callers who sign in need to know where: http.public_url is not set.", hint=hint)
    if is_guarded and urlsplit(url).scheme != "https":
        raise ConfigurationError(f"http.public_url = {url} is not https.", hint=hint)
    if not settings.oauth.rights:
        raise ConfigurationError("No right gives anybody an account: oauth.rights is empty.", hint=hint)
    return url

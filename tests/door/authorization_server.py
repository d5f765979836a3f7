"""A real authorization server, from npm, as a process; and a person's browser that signs in there by a script."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

SOURCES = Path(__file__).parent / "provider"
CACHE = Path(__file__).parents[2] / ".cache" / "authorization-server"
REDIRECT = "https://client.example/callback"
DOCUMENT = {
    "client_id": "https://client.example/client.json",
    "client_name": "A client with a document",
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')


def installed() -> Path:
    """The folder with oidc-provider, as the lock file has it; installed once."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:12]
    if not folder.is_dir():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, making)
        options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        subprocess.run(["npm", "ci", *options], cwd=making, check=True)
        try:
            making.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(making)
    shutil.copy(SOURCES / "provider.mjs", folder)
    return folder


@dataclass
class AuthorizationServer:
    """The process, and what can be done to it."""

    issuer: str
    process: subprocess.Popen[str]

    def does(self, command: str) -> Any:
        """`rotate` its key, be `down` or `up`, or say what it was `asked` for since the last time."""
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return _said(self.process)["done"]


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Its next word, between the notices of the library."""
    assert process.stdout
    said: dict[str, Any] = json.loads(next(line for line in process.stdout if line.startswith("{")))
    return said


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    """One for the time of a test module."""
    said = json.dumps({"resources": [], "client": DOCUMENT})
    command = ["node", "provider.mjs", said]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=installed(), text=True, **pipes) as process:
        try:
            yield AuthorizationServer(_said(process)["issuer"], process)
        finally:
            process.kill()


@dataclass
class Kept:
    """What a client keeps. Implements the SDK's `TokenStorage`."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Person:
    """Signs in as `name` and agrees to whatever a client asks for, page by page."""

    name: str = "alice"
    kept: Kept = field(default_factory=Kept)
    asked_for: list[str] = field(default_factory=list)
    """The scopes of each time."""
    refused: list[str] = field(default_factory=list)
    """Why the authorization server gave no code."""
    _answer: dict[str, list[str]] = field(default_factory=dict)

    def client(self, url: str, *, has_document: bool = False) -> OAuthClientProvider:
        """The official client's own way to sign in, with this person before it."""
        return OAuthClientProvider(
            server_url=url,
            client_metadata=OAuthClientMetadata.model_validate(
                {"client_name": "A client that registers", "redirect_uris": [REDIRECT]}
            ),
            storage=self.kept,
            redirect_handler=self._opens,
            callback_handler=self._comes_back,
            client_metadata_url=DOCUMENT["client_id"] if has_document else None,
        )

    async def _opens(self, url: str) -> None:
        [scopes] = parse_qs(urlsplit(url).query)["scope"]
        self.asked_for.append(" ".join(each for each in scopes.split() if each != "offline_access"))
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url)
            while True:
                if answer.is_redirect:
                    url = urljoin(str(answer.url), answer.headers["location"])
                    if url.startswith(REDIRECT):
                        break
                    answer = await browser.get(url)
                    continue
                assert answer.status_code == 200, answer.text[:500]
                is_sign_in = 'name="login"' in answer.text
                form = {"prompt": "login", "login": self.name, "password": "x"} if is_sign_in else {"prompt": "consent"}
                action = _FORM.search(answer.text)
                assert action, answer.text[:500]
                answer = await browser.post(urljoin(str(answer.url), action[1]), data=form)
        self._answer = parse_qs(urlsplit(url).query)
        self.refused += self._answer.get("error", [])

    async def _comes_back(self) -> AuthorizationCodeResult:
        said = {name: values[0] for name, values in self._answer.items()}
        return AuthorizationCodeResult(code=said.get("code", ""), state=said.get("state"), iss=said.get("iss"))

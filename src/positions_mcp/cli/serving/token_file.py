"""The tokens of callers over HTTP, in a file of the data directory: their hashes, and whose each is."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from positions_mcp.cli.files import write_whole
from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.text import label
from positions_mcp.platforms import this_platform

FILE_NAME = "tokens.json"
PREFIX = "pmcp_"
"""What every token begins with, so that a scanner for leaked secrets can know one."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)


class Token(BaseModel):
    """What is kept of a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME.pattern)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the whole token. It holds 256 random bits, so that a slow hash would add nothing."""
    created_at: AwareDatetime


class _Contents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[Token, ...] = ()


class TokenFile:
    """The tokens of one data directory. Read anew for every question: what is revoked ends at once."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME

    def tokens(self) -> tuple[Token, ...]:
        """All of them, oldest first. Raises ConfigurationError where the file is not one of this program's."""
        try:
            return _Contents.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConfigurationError(f"The tokens in {self.path} cannot be read: {error.strerror}.") from None
        except ValidationError:
            raise ConfigurationError(
                f"{self.path} is damaged.", hint="Delete it and make new tokens: `positions-mcp token new NAME`"
            ) from None

    def owner(self, token: str) -> str | None:
        """Whose token it is; None where it is nobody's. Raises as `tokens`."""
        given = _digest(token)
        return next((each.name for each in self.tokens() if hmac.compare_digest(each.sha256, given)), None)

    def issue(self, name: str, now: datetime) -> str:
        """A new token for `name`. It is not kept and cannot be shown again.

        Raises InvalidInput where that is no name, or one that has a token already; ConfigurationError as `tokens`.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{label(name)} cannot be a caller's name.", hint="Use up to 40 letters, digits, dots, _ and -."
            )
        token = f"{PREFIX}{secrets.token_urlsafe(32)}"
        with self._locked():
            held = self.tokens()
            if any(each.name == name for each in held):
                raise InvalidInput(
                    f"{name} has a token already.", hint=f"To replace it: `positions-mcp token revoke {name}`"
                )
            self._write((*held, Token(name=name, sha256=_digest(token), created_at=now)))
        return token

    def revoke(self, name: str) -> None:
        """Forget the token of `name`: it opens nothing any more. Raises InvalidInput where there is none."""
        with self._locked():
            held = self.tokens()
            left = tuple(each for each in held if each.name != name)
            if len(left) == len(held):
                known = ", ".join(each.name for each in held) or "none"
                raise InvalidInput(f"{label(name)} has no token.", hint=f"Names with a token: {known}.")
            self._write(left)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        write_whole(self.path, _Contents(tokens=tokens).model_dump_json(indent=1).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes that change the file."""
        try:
            with this_platform().locked(self.path.with_suffix(".lock")):
                yield
        except OSError as error:
            raise ConfigurationError(f"The tokens in {self.path} cannot be changed: {error.strerror}.") from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

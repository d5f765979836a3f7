"""`positions-mcp token …`: who may call a server over HTTP. A token names its caller; it decides nothing."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from positions_mcp.cli.assembly.stores import prepare_data_dir
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.files import write_whole
from positions_mcp.cli.options import add_subcommands, settings_of_either_mode
from positions_mcp.cli.output import add_json_option, print_json, say, table
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import moment
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
        """All of them, oldest first.

        Raises:
            ConfigurationError: the file cannot be read, or is not one of this program's.
        """
        try:
            return _Contents.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConfigurationError(f"The tokens in {self.path} cannot be read: {error.strerror}.") from None
        except ValidationError:
            raise ConfigurationError(
                f"{self.path} is damaged.", hint="Delete it and make new tokens: positions-mcp token new NAME"
            ) from None

    def owner(self, token: str) -> str | None:
        """Whose token it is; None where it is nobody's. Raises as `tokens`."""
        given = _digest(token)
        return next((each.name for each in self.tokens() if hmac.compare_digest(each.sha256, given)), None)

    def issue(self, name: str, now: datetime) -> str:
        """A new token for `name`. It is not kept and cannot be shown again.

        Raises:
            InvalidInput: not a name, or one that has a token already.
            ConfigurationError: as `tokens`, or the file cannot be written.
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
                    f"{name} has a token already.", hint=f"To replace it: positions-mcp token revoke {name}"
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


_ONCE = (
    "This is the token of {name}. It is shown once and kept as a hash only. Its client sends it as\n"
    "    Authorization: Bearer TOKEN\n"
    "Whoever holds it calls as {name}: keep it out of every chat and log."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands of `positions-mcp token`."""
    told = {
        "new": "make a token for a caller, and show it once",
        "list": "list the callers that have a token",
        "revoke": "let a caller's token open nothing any more",
    }
    commands = add_subcommands(parser, "token_command", told)
    add_json_option(commands["list"])
    for name in ("new", "revoke"):
        commands[name].add_argument(
            "name", metavar="NAME", help="the caller, such as the client and machine it runs on"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand. Returns the exit code. Standard output of `new` is the token and nothing else."""
    settings = settings_of_either_mode(arguments)
    file = TokenFile(prepare_data_dir(settings))
    match arguments.token_command:
        case "new":
            token = file.issue(arguments.name, SystemClock().now())
            print(_ONCE.format(name=arguments.name), file=sys.stderr)
            print(token)
        case "revoke":
            file.revoke(arguments.name)
            say(f"The token of {arguments.name} opens nothing any more. Its operations stay in the record.")
        case _:
            if arguments.json:
                print_json({"file": file.path, "tokens": [_shape(each) for each in file.tokens()]})
                return 0
            say(f"Tokens in {file.path}")
            rows = [(each.name, moment(each.created_at)) for each in file.tokens()]
            none = f"None: `{Commands(settings)('token new NAME')}`"
            say("\n".join(table(("CALLER", "SINCE"), rows)) if rows else none)
    return 0


def _shape(token: Token) -> dict[str, object]:
    return {"name": token.name, "created_at": token.created_at}

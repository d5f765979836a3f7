"""MCP prompts: how to work with a supervisor, in texts from `prompts/*.md`.

A file is Markdown below TOML between two `+++` lines: `title`, `description`, and `[[arguments]]` with `name`, `kind`
(account, symbol or operation) and `description`. `several = true` takes a list separated by commas; an argument with
`absent`, the words that then stand in its place, may be left out. So may an account where only one is configured. The
body names each argument as `{name}`.

Values come from a model or a stranger: they are checked by kind, and stand in the text quoted, as data.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NoReturn

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.text import label, quoted
from positions_mcp.packaged import prompts_dir

LONGEST_SYMBOL = 40
MOST_SYMBOLS = 100

_FENCE = "+++\n"
_ACCOUNT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_OPERATION = re.compile(r"op-[0-9a-z]{1,60}", re.ASCII)


class Kind(StrEnum):
    """What the value of an argument is."""

    ACCOUNT = "account"
    SYMBOL = "symbol"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument of a prompt, as its file describes it."""

    name: str
    kind: Kind
    description: str
    several: bool = False
    absent: str | None = None
    """What stands in its place where it is left out; None where it must be given."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """One file."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    body: str

    @classmethod
    def read(cls, file: Path) -> PromptText:
        """The prompt that a file holds.

        Raises ValueError where the file has no front matter, or one that says something else.
        """
        try:
            _, matter, body = file.read_text(encoding="utf-8").split(_FENCE, 2)
            said = tomllib.loads(matter)
            arguments = tuple(Argument(**{**each, "kind": Kind(each["kind"])}) for each in said.pop("arguments", ()))
            return cls(file.stem, said.pop("title"), said.pop("description"), arguments, body.strip())
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file} is not a prompt: {error!r}") from error


class Prompts:
    """The prompts of a server for a caller who may use these accounts."""

    def __init__(self, accounts: Sequence[AccountId]) -> None:
        self._accounts = tuple(accounts)

    def listed(self) -> list[Prompt]:
        """What a client offers its user."""
        return [
            Prompt(
                name=text.name,
                title=text.title,
                description=text.description,
                arguments=[
                    PromptArgument(name=each.name, description=each.description, required=self._is_required(each))
                    for each in text.arguments
                ],
            )
            for text in texts().values()
        ]

    def get(self, name: str, arguments: Mapping[str, str] | None) -> GetPromptResult:
        """The text with the arguments in it, as one message of the user's. A blank argument counts as left out.

        Raises MCPError for an unknown prompt or argument, one missing, or a value not of its kind.
        """
        text = texts().get(name)
        if text is None:
            _refuse(f"{label(name)} is not a prompt of this server. Known: {', '.join(texts())}.")
        given = {key: value.strip() for key, value in (arguments or {}).items() if value.strip()}
        known = [each.name for each in text.arguments]
        if unknown := [key for key in given if key not in known]:
            _refuse(f"{label(unknown[0])} is not an argument of {name}. Known: {', '.join(known) or 'none'}.")
        words = {each.name: self._words(each, given.get(each.name)) for each in text.arguments}
        filled = re.sub(r"\{(\w+)\}", lambda place: words[place[1]], text.body)
        message = PromptMessage(role="user", content=TextContent(type="text", text=filled))
        return GetPromptResult(description=text.description, messages=[message])

    def _is_required(self, argument: Argument) -> bool:
        if argument.kind is Kind.ACCOUNT:
            return len(self._accounts) != 1
        return argument.absent is None

    def _words(self, argument: Argument, value: str | None) -> str:
        if value is None:
            if self._is_required(argument):
                _refuse(f"{argument.name} is required: {argument.description}")
            return f"account {self._accounts[0]}" if argument.kind is Kind.ACCOUNT else argument.absent or ""
        match argument.kind:
            case Kind.ACCOUNT:
                return self._account(argument.name, value)
            case Kind.OPERATION:
                return _operation(argument.name, value)
            case Kind.SYMBOL:
                return _symbols(argument, value)

    def _account(self, name: str, value: str) -> str:
        if not _ACCOUNT.fullmatch(value) or int(value) not in self._accounts:
            allowed = ", ".join(map(str, self._accounts))
            _refuse(f"{name}: {quoted(value, 40)} is not an account of this server. Allowed: {allowed}.")
        return f"account {value}"


def argument_of(prompt: str, name: str) -> Argument | None:
    """An argument of a prompt, for completing it; None where there is none of that name."""
    text = texts().get(prompt)
    return next((each for each in text.arguments if each.name == name), None) if text else None


@cache
def texts() -> dict[str, PromptText]:
    """Every prompt by its name, read when one is first asked for."""
    return {file.stem: PromptText.read(file) for file in sorted(prompts_dir().glob("*.md"))}


def _operation(name: str, value: str) -> str:
    if not _OPERATION.fullmatch(value):
        _refuse(f"{name}: {quoted(value, 40)} is not an operation id, which looks like op-0123456789.")
    return value


def _symbols(argument: Argument, value: str) -> str:
    symbols = [part.strip() for part in value.split(",")] if argument.several else [value]
    if len(symbols) > MOST_SYMBOLS:
        _refuse(f"{argument.name}: {len(symbols)} symbols were given; at most {MOST_SYMBOLS} are taken.")
    for symbol in symbols:
        if not 0 < len(symbol) <= LONGEST_SYMBOL or not symbol.isprintable():
            _refuse(
                f"{argument.name}: {quoted(symbol, LONGEST_SYMBOL)} is not a symbol, "
                f"which has 1 to {LONGEST_SYMBOL} printable characters."
            )
    return ", ".join(quoted(symbol) for symbol in symbols)


def _refuse(message: str) -> NoReturn:
    raise MCPError(INVALID_PARAMS, message)

"""One entry of a JSON file, put in and taken out as text: comments, order, spacing and line ends of the rest stay.

Comments and commas at the end are read, as Visual Studio Code, Zed and opencode read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from positions_mcp.cli.install.errors import CannotBeRead

_TRIVIA = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_PLAIN = re.compile(r"[-+.\w]+")
_INDENT = re.compile(r"^([ \t]+)[\"{\[]", re.MULTILINE)


@dataclass(slots=True)
class _Value:
    """A value and where it stands."""

    start: int
    end: int
    value: Any
    members: dict[str, _Value] = field(default_factory=dict)
    """Of an object: its members, by key; of two with one key the later counts, as for every reader of JSON."""
    key_start: int = 0
    """Of a member: where its key begins."""
    comma: int | None = None
    """Of a member: where the comma behind it ends."""


def parsed(text: str) -> Any:
    """What the file says; nothing says `{}`. Raises CannotBeRead."""
    return _document(text).value if text.strip("\ufeff \t\r\n") else {}


def with_entry(text: str, place: Sequence[str], entry: dict[str, Any]) -> str:
    """The file with an entry at a place such as `("mcpServers", "positions")`. What is there is replaced.

    Raises CannotBeRead where it is not JSON, or something else stands where the entry would.
    """
    if not text.strip("\ufeff \t\r\n"):
        return json.dumps(_nested(place, entry), indent=2, ensure_ascii=False) + "\n"
    here = _document(text)
    for depth, name in enumerate(place):
        if not isinstance(here.value, dict):
            raise CannotBeRead(f"{'.'.join(place[:depth]) or 'the file'} is not an object")
        if name not in here.members:
            return _inserted(text, here, depth, name, _nested(place[depth + 1 :], entry))
        here = here.members[name]
    return text if here.value == entry else text[: here.start] + _written(text, entry, len(place)) + text[here.end :]


def without_entry(text: str, place: Sequence[str]) -> str:
    """The file without what stands at a place, and with everything else as it is. Raises CannotBeRead."""
    around = here = _document(text) if text.strip("\ufeff \t\r\n") else _Value(0, 0, {})
    for name in place:
        around = here
        if name not in here.members:
            return text
        here = here.members[name]
    before, comma = _before(text, around, here)
    if here.comma is not None:
        return text[:before] + text[here.comma :]
    kept = text[:before] if comma is None else text[:comma] + text[comma + 1 : before]
    return kept + text[here.end :]


def _before(text: str, around: _Value, member: _Value) -> tuple[int, int | None]:
    """The end of what comes before a member, a comment included; and where the comma before it is."""
    others = [each for each in around.members.values() if each.comma and each.comma <= member.key_start]
    last = max((each.comma or 0 for each in others), default=around.start + 1)
    comments = list(_COMMENT.finditer(text, last, member.key_start))
    return (comments[-1].end() if comments else last), (last - 1 if others else None)


def _inserted(text: str, around: _Value, depth: int, name: str, value: Any) -> str:
    """`value` as the last member of an object, behind the comments that end it."""
    last = max(around.members.values(), key=lambda each: each.end, default=None)
    end = around.start + 1 if last is None else last.comma or last.end
    comments = list(_COMMENT.finditer(text, end, around.end - 1))
    at = comments[-1].end() if comments else end
    comma_here = "," if last is not None and last.comma is None else ""
    comma_behind = "," if last is not None and last.comma is not None else ""
    newline, unit = _style(text)
    if last is not None and "\n" not in text[at : around.end - 1]:
        member = f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        return text[:end] + comma_here + text[end:at] + member + comma_behind + text[at:]
    indent = unit * (depth + 1) if last is None else _indent_of(text, last.key_start, unit * (depth + 1))
    member = f"{newline}{indent}{json.dumps(name)}: {_written(text, value, depth + 1, indent)}"
    closing = "" if "\n" in text[at : around.end - 1] else newline + unit * depth
    return text[:end] + comma_here + text[end:at] + member + comma_behind + closing + text[at:]


def _written(text: str, value: Any, depth: int, indent: str | None = None) -> str:
    newline, unit = _style(text)
    lead = unit * depth if indent is None else indent
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{lead}".join(lines)


def _style(text: str) -> tuple[str, str]:
    """How lines end, and what one step of indentation is."""
    found = _INDENT.search(text)
    return ("\r\n" if "\r\n" in text else "\n"), (found[1] if found else "  ")


def _indent_of(text: str, at: int, otherwise: str) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line if not line.strip(" \t") else otherwise


def _nested(names: Sequence[str], value: Any) -> Any:
    for name in reversed(names):
        value = {name: value}
    return value


def _document(text: str) -> _Value:
    try:
        value, end = _read(text, _skip(text, 0))
    except RecursionError:
        raise CannotBeRead("it is nested too deeply") from None
    if _skip(text, end) != len(text):
        raise CannotBeRead(f"something follows its end in line {_line(text, end)}")
    return value


def _read(text: str, at: int) -> tuple[_Value, int]:
    if text[at : at + 1] in ("{", "["):
        return _read_collection(text, at)
    match = _STRING.match(text, at) or _PLAIN.match(text, at)
    try:
        if match is None:
            raise CannotBeRead(f"line {_line(text, at)} is not JSON")
        return _Value(at, match.end(), json.loads(match[0])), match.end()
    except ValueError:
        raise CannotBeRead(f"line {_line(text, at)} is not JSON") from None


def _read_collection(text: str, start: int) -> tuple[_Value, int]:
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    read = _Value(start, start, {} if is_object else [])
    at = _skip(text, start + 1)
    while text[at : at + 1] != closing:
        key_start, name = at, ""
        if is_object:
            key = _STRING.match(text, at)
            at = _skip(text, key.end()) if key else at
            if not key or text[at : at + 1] != ":":
                raise CannotBeRead(f"line {_line(text, at)} is not JSON")
            name, at = json.loads(key[0]), _skip(text, at + 1)
        value, at = _read(text, at)
        value.key_start = key_start
        if is_object:
            read.members.pop(name, None)
            read.members[name] = value
            read.value[name] = value.value
        else:
            read.value.append(value.value)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            value.comma = at + 1
            at = _skip(text, at + 1)
        elif text[at : at + 1] != closing:
            raise CannotBeRead(f"line {_line(text, at)} is not JSON")
    read.end = at + 1
    return read, at + 1


def _skip(text: str, at: int) -> int:
    match = _TRIVIA.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1

"""An entry goes into a configuration and out of it, and every other byte stays where it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions_mcp.cli.install import jsonc, toml_text, yaml_text
from positions_mcp.cli.install.errors import CannotBeRead

PLACE = ("servers", "positions")
ENTRY: dict[str, Any] = {"command": "/opt/a b/positions-mcp", "args": ["serve", "--mode", "paper"]}
WORDS = st.sampled_from(["a", "b.c", "x-y", "servers2", "é", "posit\\ions", 'q"uote', "// no comment", "# none"])
SCALARS = st.one_of(st.booleans(), st.integers(-9, 9), WORDS)
VALUES = st.recursive(
    SCALARS, lambda deeper: st.lists(deeper, max_size=2) | st.dictionaries(WORDS, deeper, max_size=2), max_leaves=5
)
TRIVIA = st.sampled_from(["", " ", "\n", "\n    ", "// a { comment\n", "/* [, */", "\r\n\t"])

LINES = ["", "# [servers.positions]", "  # note", 'm{} = """\n[servers.positions]\n"""', "k{} = [1,\n 2]"]
TABLES = ["[other]\nx = 'a'", "[servers.b]\ny = 1 # z", '[ "t".u ]', "[[rows]]\na = 1"]
BEFORE = ["", "# top\n", "a: 1\n", "a:\n  - b\n  - 'c # d'\n\n", "---\nb: |\n  servers:\n   x\n"]
FLOWS = ["servers: {}\n", "servers: {b: {c: d}} # f\n", "servers:\n"]


@st.composite
def _object(draw: st.DrawFn, members: dict[str, Any]) -> str:
    """An object with comments, spacing and perhaps a comma at its end, whose members are texts or values."""
    parts = []
    for name, value in members.items():
        text = value if isinstance(value, str) and value.startswith("{") else json.dumps(value)
        parts.append(f"{draw(TRIVIA)}{json.dumps(name)}{draw(TRIVIA)}:{draw(TRIVIA)}{text}{draw(TRIVIA)}")
    comma = "," if parts and draw(st.booleans()) else ""
    return f"{{{','.join(parts)}{comma}{draw(TRIVIA)}}}"


@st.composite
def jsonc_texts(draw: st.DrawFn) -> str:
    members: dict[str, Any] = draw(st.dictionaries(WORDS, VALUES, max_size=3))
    if draw(st.booleans()):
        members["servers"] = draw(_object(draw(st.dictionaries(WORDS, VALUES, max_size=2))))
    return draw(TRIVIA) + draw(_object(members)) + draw(TRIVIA)


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    lines = draw(
        st.lists(
            st.sampled_from(
                ["", "# [servers.positions]", "  # note", 'm{} = """\n[servers.positions]\n"""', "k{} = [1,\n 2]"]
            ),
            max_size=4,
        )
    )
    tables = draw(
        st.lists(
            st.sampled_from(["[other]\nx = 'a'", "[servers.b]\ny = 1 # z", '[ "t".u ]', "[[rows]]\na = 1"]), unique=True
        )
    )
    text = "\n".join([*(line.format(n) for n, line in enumerate(lines)), *tables])
    text += draw(st.sampled_from(["", "\n", "\n\n", "\n# end"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    before = draw(st.sampled_from(BEFORE))
    indent = draw(st.sampled_from(["  ", "    "]))
    extension = f"{indent}b:\n{indent}  cmd: x # y\n{indent}# more\n"
    inside = draw(st.sampled_from(["", f"servers:\n{extension}", *FLOWS]))
    return before + inside + draw(st.sampled_from(["", "z: 2\n", "# end", "z: [1,\n  2]"]))


def _is_kept(before: str, after: str, entry: str) -> bool:
    """Whether `after` is `before` with some text put in, and perhaps the comma that it needs."""
    left = iter(after)
    return all(any(mine == other for other in left) for mine in before) and entry in after


def _holds(form: Any, text: str) -> None:
    said = form.parsed(text)
    once = form.with_entry(text, PLACE, ENTRY)
    assert form.parsed(once) == {**said, "servers": {**(said.get("servers") or {}), "positions": ENTRY}}
    assert form.with_entry(once, PLACE, ENTRY) == once
    assert _is_kept(text, once, "positions")
    back = form.without_entry(once, PLACE)
    if said.get("servers"):
        assert back == text
    assert form.parsed(back) in (said, {**said, "servers": {}}, {**said, "servers": None})


@given(jsonc_texts())
def test_json_with_comments_stays_as_it_is_outside_the_entry(text: str) -> None:
    _holds(jsonc, text)


@given(toml_texts())
def test_toml_stays_as_it_is_outside_the_entry(text: str) -> None:
    _holds(toml_text, text)
    assert toml_text.without_entry(toml_text.with_entry(text, PLACE, ENTRY), PLACE) == text


@given(yaml_texts())
def test_yaml_stays_as_it_is_outside_the_entry(text: str) -> None:
    _holds(yaml_text, text)


@pytest.mark.parametrize(
    "text", ["{", '{"a": 1} x', '{"a" 1}', "[1", '{"servers": {"a": tru}}', "{'a': 1}", "{" * 20_000]
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(CannotBeRead):
        jsonc.with_entry(text, PLACE, ENTRY)

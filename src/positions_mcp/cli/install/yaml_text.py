"""One entry of a YAML file, put in and taken out as text: the rest stays byte for byte."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from positions_mcp.cli.install.errors import CannotBeRead

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node


def parsed(text: str) -> Any:
    """What the file says; nothing says `{}`. Raises CannotBeRead."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text) or {}
    except (YAMLError, RecursionError, ValueError) as error:
        raise CannotBeRead(f"it is not YAML ({str(error).splitlines()[0] if str(error) else 'too deep'})") from None


def with_entry(text: str, place: Sequence[str], entry: dict[str, Any]) -> str:
    """The file with an entry at a place such as `("extensions", "positions")`. What is there is replaced."""
    outer, name = place
    text = without_entry(text, place)
    newline = "\r\n" if "\r\n" in text else "\n"
    root = _root(text)
    found = _member(root, outer) if root else None
    if root is not None and found is None and root.flow_style:
        return _in_flow(text, root, outer, {name: entry})
    if found is None:
        ended = text if not text or text.endswith("\n") else text + newline
        return ended + newline.join([f"{outer}:", *_block(name, entry, 2), ""])
    container = found[1]
    if not hasattr(container, "flow_style") or not isinstance(container.value, list):
        end = _line_end(text, found[0].end_mark.index)
        ended = text[:end] if text[:end].endswith("\n") else text[:end] + newline
        return ended + newline.join([*_block(name, entry, 2), ""]) + text[end:]
    if container.flow_style:
        return _in_flow(text, container, name, entry)
    first = container.value[0][0].start_mark
    start = first.index - first.column
    return text[:start] + newline.join([*_block(name, entry, first.column), ""]) + text[start:]


def without_entry(text: str, place: Sequence[str]) -> str:
    """The file without the entry. Raises CannotBeRead."""
    root = _root(text)
    found = _member(root, place[0]) if root else None
    container = found[1] if found else None
    mine = _member(container, place[1]) if container is not None and isinstance(container.value, list) else None
    if container is None or mine is None:
        return text
    key, value = mine
    if getattr(container, "flow_style", False):
        start, end = key.start_mark.index, value.end_mark.index
        rest = text[end:].lstrip()
        if rest.startswith(","):
            return text[:start] + rest[1:].removeprefix(" ")
        return text[:start].rstrip().removesuffix(",") + text[end:]
    start = key.start_mark.index - key.start_mark.column
    return text[:start] + text[_line_end(text, _last(value).end_mark.index) :]


def _in_flow(text: str, container: Node, name: str, value: Any) -> str:
    at = container.start_mark.index + 1
    more = ", " if container.value else ""
    return f"{text[:at]}{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}{more}{text[at:]}"


def _block(name: str, entry: dict[str, Any], indent: int) -> list[str]:
    lead, inner = " " * indent, " " * (indent + 2)
    return [
        f"{lead}{name}:",
        *(f"{inner}{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()),
    ]


def _root(text: str) -> MappingNode | None:
    """The mapping that the file is; None where it says nothing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import MappingNode

    try:
        node = YAML(pure=True).compose(text)
    except (YAMLError, RecursionError, ValueError):
        raise CannotBeRead("it is not YAML that can be added to") from None
    if node is not None and not isinstance(node, MappingNode):
        raise CannotBeRead("it is not a mapping")
    return node


def _member(container: Node | None, name: str) -> tuple[Node, Node] | None:
    pairs = container.value if container is not None else []
    return next(((pair[0], pair[1]) for pair in pairs if isinstance(pair, tuple) and pair[0].value == name), None)


def _last(node: Node) -> Node:
    """The last scalar or flow collection in a node: block collections end only where the next thing begins."""
    while isinstance(node.value, list) and node.value and not getattr(node, "flow_style", False):
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1

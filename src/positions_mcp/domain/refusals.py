"""Why the API refused something, in whatever field and shape it says so.

The reason of a rejected order has come as a list, as plain text, as objects, and in fields that no contract names.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from positions_mcp.domain.ids import is_uuid

_MOST_TEXTS = 20
_DEEPEST = 6
_NAMES_A_REASON = re.compile(
    r"reason|reject|refus|text|message|msg|error|fail|detail|descri|note|comment|remark|explan|info|warn|why|cause|^code$",
    re.IGNORECASE,
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


def texts_in(value: object) -> list[str]:
    """The texts in `value`: itself, or those of a list or an object; numbers as text. In order, each one once."""
    return list(islice(dict.fromkeys(_texts(value, _DEEPEST)), _MOST_TEXTS))


def reasons_in(row: Mapping[str, Any], known: Container[str], said: Sequence[object] = ()) -> list[str]:
    """What was `said`, and the texts in fields of `row` that are not `known` and are named for a reason.

    Where that is nothing, the texts in all fields that are not known. Identifiers and times are no reasons.
    """
    unknown = {name: value for name, value in row.items() if name not in known}
    named = [value for name, value in unknown.items() if _NAMES_A_REASON.search(name)]
    return texts_in([*said, *named]) or texts_in(
        [value for value in unknown.values() if not isinstance(value, int | float | Decimal)]
    )


def says_a_refusal(status: object) -> bool:
    """Whether a status is one of a refusal, so that what is said beside it is the reason."""
    return isinstance(status, str) and any(word in status.upper() for word in ("REJECT", "REFUS", "FAIL"))


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip() and not is_uuid(value) and not _INSTANT.fullmatch(value):
            yield value
    elif isinstance(value, Mapping | list) and depth:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each, depth - 1)
    elif value is not None and not isinstance(value, bool | Mapping | list):
        yield str(value)

"""How stored records grow: fields that came later than the release that first stored a record.

Digests, signatures and the journal's chain cover the JSON of what is stored, so such a field is left out of it while it
has its default: what an earlier release stored stays what it was, to the byte. CONTRIBUTING.md says how one is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Added:
    """Marks a field that came in a version; says of a value whether it is left out."""

    version: str
    default: Any

    def __call__(self, value: Any) -> bool:
        """Whether the value is the default, and so is left out."""
        return bool(value == self.default)


def added(version: str, *, default: T) -> T:
    """The declaration of a field that came in `version`: left out of the record's JSON while it is `default`."""
    declared: T = Field(default=default, exclude_if=Added(version, default))
    return declared

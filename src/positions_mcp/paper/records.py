"""How values of a paper book are written down: as JSON, in the form that their fields give."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

_MICROSECOND = timedelta(microseconds=1)
Microseconds = Annotated[
    timedelta,
    BeforeValidator(lambda kept: int(kept) * _MICROSECOND),
    PlainSerializer(lambda span: span // _MICROSECOND),
]
"""A length of time, written as a whole number."""

Value = TypeVar("Value")
Fields = dict[str, Any]


class Records(Generic[Value]):
    """Writes values of one kind, and reads them. What has its default is left out; so are `keys`, which stand beside.

    `earlier` puts the fields that an earlier release wrote, with their keys, into today's form.
    """

    def __init__(self, kind: type[Value], *keys: str, earlier: Callable[[Fields], Fields] = Fields) -> None:
        self._kind = kind
        self._keys = keys
        self._earlier = earlier

    @cached_property
    def _adapter(self) -> TypeAdapter[Value]:
        return TypeAdapter(self._kind)

    def text(self, value: Value) -> str:
        return self._adapter.dump_json(value, exclude_defaults=True, exclude=set(self._keys)).decode()

    def row(self, value: Value) -> tuple[Any, ...]:
        """A value as a row: its keys, and the rest as text."""
        return (*(getattr(value, key) for key in self._keys), self.text(value))

    def value(self, *row: Any) -> Value:
        """The inverse of `row`, and, of a value without keys, of `text`."""
        *keys, text = row
        return self._adapter.validate_python(self._earlier(json.loads(text) | dict(zip(self._keys, keys, strict=True))))

"""The catalogue: what customers of a brokerage ask an assistant, and what an answer has to say.

An entry of `asked/*.toml`:

- `id`, `asks`, and `on`, the stage (a book at a time) on which it is asked;
- `calls`: the fewest tool calls that answer it, in order. `"$plan_id"` is that value of an earlier answer, and
  `"$id SYMBOL TYPE"` that of the row with these. Between calls `{later = 3}` lets seconds pass, `{person = "yes"}` has
  somebody at the client decide, and `{market = {…}}` something happen on the market. Without calls, what the server
  tells every client has to answer;
- `says`: what stands in the text. `{XOM.pct:.2f}` is worked out from the exchange's own rows (see `arithmetic.py`);
  what begins and ends with a slash is a regular expression;
- `cells`: `SYMBOL.column = value`, which has to stand in the text's table and in the structured content;
- `data`: `path = value` in the structured content; `never`: what would mislead;
- `verdict`: `exact`, or `not possible` where the product cannot do it and the words are what can be done instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent

Verdict = Literal["exact", "not possible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One entry."""

    id: str
    asks: str
    on: str
    calls: Sequence[Mapping[str, Any]]
    says: Sequence[str] = ()
    cells: Sequence[str] = ()
    data: Sequence[str] = ()
    never: Sequence[str] = ()
    verdict: Verdict = "exact"

    @property
    def tools(self) -> list[str]:
        """The tools it calls, in order."""
        return [name for call in self.calls for name in call if name not in ("later", "person", "market")]


@cache
def questions() -> tuple[Question, ...]:
    """Every entry, in the order of the files.

    Raises:
        TypeError: an entry has a key that there is not, or lacks one.
    """
    files = sorted((HERE / "asked").glob("*.toml"))
    entries = [entry for file in files for entry in tomllib.loads(file.read_text(encoding="utf-8"))["question"]]
    return tuple(Question(**entry) for entry in entries)


def asked_on(stage: str) -> list[Question]:
    """The questions of a stage, in the order in which they are asked."""
    return [question for question in questions() if question.on == stage]

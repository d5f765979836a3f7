"""Plays questions and says what is wrong with the answers."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult

from positions_mcp.paper.happenings import happen
from questions.arithmetic import Figures
from questions.catalogue import Question, asked_on
from questions.stage import Stage, stage
from tools.serving import words_of
from trading import no, yes

_CLOSE_ENOUGH = Decimal("0.0051")
"""Half of the last of two decimals, which figures are rounded to."""


@dataclass
class Answered:
    """What came back on a question, and what is wrong with it."""

    question: Question
    text: str
    data: list[dict[str, Any]]
    wrong: list[str] = field(default_factory=list)

    @property
    def structured(self) -> str:
        """The structured content as it is on the wire."""
        return "".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in self.data)


async def play(name: str, data_dir: Path) -> list[Answered]:
    """Every question of a stage, one after another on the same server."""
    async with stage(name, data_dir) as ready:
        known: dict[str, Any] = {}
        return [await _ask(question, ready, known) for question in asked_on(name)]


async def _ask(question: Question, on: Stage, known: dict[str, Any]) -> Answered:
    """The answer; `known` is what later questions may refer back to."""
    texts: list[str] = []
    data: list[dict[str, Any]] = []
    facts = (*question.says, *question.data, *question.cells)
    figures = await on.figures() if any("{" in fact for fact in facts) else Figures(())
    for step in question.calls:
        for what, given in step.items():
            if what == "later":
                on.later(given)
            elif what == "market":
                happen(on.exchange, given)
            elif what == "person":
                on.person.action, on.person.content = (answer := {"yes": yes, "no": no}[given]()).action, answer.content
            else:
                asked = len(on.person.questions)
                result: CallToolResult = await on.client.call_tool(what, _filled(given, [known, *data]))
                texts += [*on.person.questions[asked:], words_of(result)]
                data += [result.structured_content] if result.structured_content else []
                known |= {"last_operation": data[-1]["operation_id"]} if data and "operation_id" in data[-1] else {}
    answered = Answered(question, "\n".join(texts) if question.tools else on.instructions, data)
    answered.wrong += _mistakes(answered, figures)
    return answered


def _filled(given: Any, data: list[dict[str, Any]]) -> Any:
    """The arguments, with what they take from earlier answers in its place."""
    if isinstance(given, Mapping):
        return {name: _filled(value, data) for name, value in given.items()}
    if isinstance(given, list):
        return [_filled(value, data) for value in given]
    if not isinstance(given, str) or not given.startswith("$"):
        return given
    name, *words = given[1:].split()
    for answer in reversed(data):
        if words:
            rows = [row for row in answer.get("rows", ()) if set(words) <= set(row)]
            if rows:
                return rows[0][answer["columns"].index(name)]
        elif name in answer:
            return answer[name]
    raise LookupError(f"no answer has {given}")


def _mistakes(answered: Answered, figures: Figures) -> Iterator[str]:
    yield from _wrong_words(answered, figures)
    yield from _wrong_figures(answered, figures)


def _wrong_words(answered: Answered, figures: Figures) -> Iterator[str]:
    for fact in answered.question.says:
        expected = fact.format_map(figures)
        pattern = expected[1:-1] if expected[0] == expected[-1] == "/" else re.escape(expected)
        if not re.search(pattern, answered.text):
            yield f"{expected!r} is not said"
    yield from (f"{fact!r} is said" for fact in answered.question.never if re.search(fact, answered.text))


def _wrong_figures(answered: Answered, figures: Figures) -> Iterator[str]:
    question, text = answered.question, answered.text
    for fact in question.data:
        path, expected = fact.format_map(figures).split(" = ")
        found = [value for data in answered.data if (value := _at(data, path.split("."))) is not None]
        if not any(_same(str(value), expected) for value in found):
            yield f"{path} is {found}, not {expected}"
    for fact in question.cells:
        place, expected = fact.format_map(figures).split(" = ")
        row, column = place.rsplit(".", 1)
        found = list(_cells(answered.data, row, column))
        if not any(_same(value, expected) for value in found):
            yield f"{place} is {found} in the structured content, not {expected}"
        elif not any(_same(cell, expected) for line in _lines(text, row) for cell in line):
            yield f"{place} = {expected} does not stand in the text"


def _at(data: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data


def _cells(answers: list[dict[str, Any]], row: str, column: str) -> Iterator[str]:
    """What stands in a column of the rows that begin with, or contain, a symbol."""
    for data in answers:
        yield from _cells([each for each in data.values() if isinstance(each, dict)], row, column)
        for name, columns in data.items():
            if name.endswith("columns") and column in columns:
                lines = data["rows" if name == "columns" else f"{name.removesuffix('_columns')}s"]
                yield from (str(line[columns.index(column)]) for line in lines if row in map(str, line))


def _lines(text: str, row: str) -> list[list[str]]:
    return [cells for cells in csv.reader(text.splitlines()) if row in cells]


def _same(shown: str, expected: str) -> bool:
    try:
        return abs(Decimal(shown) - Decimal(expected)) <= _CLOSE_ENOUGH
    except InvalidOperation:
        return shown == expected

"""`make questions`: plays the catalogue, prints what each answer costs, and writes the sums into README.

With ids, or names of stages, as arguments it prints those answers in full instead. Exit code 1 if an answer is wrong.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import anyio
from benchmarks import tokens

from questions.player import Answered, play
from questions.stage import STAGES, stage

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- questions: begin -->\n", "<!-- questions: end -->\n"


async def main(wanted: Sequence[str]) -> int:
    """Play everything. Returns the exit code."""
    begun = monotonic()
    answers, definitions = await _played()
    took = monotonic() - begun
    if wanted:
        answers = [each for each in answers if {each.question.id, each.question.on} & set(wanted)]
        for each in answers:
            print(f"“{each.question.asks}”", *each.question.calls, each.text, *each.wrong, "", sep="\n")
        return 1 if any(each.wrong for each in answers) else 0
    tokens.prepare()
    *sizes, of_definitions = tokens.count([*(each.text for each in answers), definitions])
    for each, size in zip(answers, sizes, strict=True):
        verdict = f"WRONG: {'; '.join(each.wrong)}" if each.wrong else each.question.verdict
        calls = len(each.question.tools)
        print(f"{each.question.id:26} {each.question.on:13} {calls} {size:6,} {verdict:13} {each.question.asks}")
    table = _table(answers, sizes, of_definitions)
    print(f"\n{table}\n{took:.0f} s")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")
    return 1 if any(each.wrong for each in answers) else 0


async def _played() -> tuple[list[Answered], str]:
    answers: list[Answered] = []
    definitions = ""
    for name in STAGES:
        with tempfile.TemporaryDirectory() as folder:
            answers += await play(name, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        async with stage(next(iter(STAGES)), Path(folder)) as ready:
            definitions = json.dumps(ready.definitions, separators=(",", ":"), ensure_ascii=False)
    return answers, definitions


def _table(answers: Sequence[Answered], sizes: Sequence[int], of_definitions: int) -> str:
    right = [each for each in answers if not each.wrong]
    exact = sum(each.question.verdict == "exact" for each in right)
    calls = [len(each.question.tools) for each in answers]
    of_answers = [size for each, size in zip(answers, sizes, strict=True) if each.question.tools]
    cells = {
        "questions": len(answers),
        "answered exactly": exact,
        "not possible, and said so": len(right) - exact,
        "wrong": len(answers) - len(right),
        "calls": sum(calls),
        "median tokens of an answer": f"{statistics.median(of_answers):.0f}",
        "tokens of all definitions": f"{of_definitions:,}",
    }
    rows = (cells, ["---:"] * len(cells), cells.values())
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1:]))

"""The catalogue of questions: large enough, of every kind, and all of it answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from positions_mcp.tools.catalogue import NAMES
from questions.catalogue import questions
from questions.player import play
from questions.stage import STAGES


def test_the_catalogue_has_a_hundred_questions_of_which_ninety_are_answered_exactly() -> None:
    asked = questions()
    assert len(asked) >= 100
    assert sum(question.verdict == "exact" for question in asked) >= 90
    assert len({question.id for question in asked}) == len(asked)


def test_every_question_has_facts_and_every_stage_and_every_tool_is_used() -> None:
    asked = questions()
    assert [question.id for question in asked if not (question.says or question.cells or question.data)] == []
    assert {question.on for question in asked} == set(STAGES)
    assert {tool for question in asked for tool in question.tools} == set(NAMES)


@pytest.mark.requirement("T-02")
@pytest.mark.parametrize("stage", STAGES, ids=[name.replace(" ", "-") for name in STAGES])
async def test_every_question_is_answered(stage: str, tmp_path: Path) -> None:
    answers = await play(stage, tmp_path)
    assert {answer.question.id: answer.wrong for answer in answers if answer.wrong} == {}

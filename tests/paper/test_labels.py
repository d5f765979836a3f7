"""What the manual says of the paper exchange's behaviour says where it comes from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from positions_mcp.cli import main

MANUAL = Path(__file__).parents[2] / "docs" / "paper-exchange.md"
LABELS = {"Official", "Observed", "Inferred", "Chosen"}
HEADING = "| label | behaviour |"


def tables_of(text: str) -> list[list[str]]:
    """The tables of a page, line by line."""
    blocks = (block.splitlines() for block in text.split("\n\n"))
    return [lines for lines in blocks if lines and lines[0].startswith("|")]


def test_every_behaviour_has_one_of_four_labels():
    labelled = [table for table in tables_of(MANUAL.read_text("utf-8")) if table[0] == HEADING]
    rows = [row for table in labelled for row in table[2:]]
    assert rows
    assert {row.split("|")[1].strip() for row in rows} <= LABELS


def test_behaviour_is_told_in_one_form_only():
    text = MANUAL.read_text("utf-8")
    faithful = text[text.index("### Answers and errors") : text.index("## Writing a scenario")]
    assert all(table[0] == HEADING for table in tables_of(faithful))
    assert all(f"- **{label}**: " in text for label in LABELS)
    assert "Documented" not in text
    assert "Different" not in text


def test_a_rehearsal_goes_as_the_manual_shows_it_on_whatever_day_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manual = MANUAL.read_text(encoding="utf-8")
    rehearsal = manual.partition("**A rehearsed expiry day**")[2].partition("\n\n")[0]
    market = manual.partition("## What happens on the market")[2].partition("\n|")[0]
    commands = [
        *re.findall(r"`paper ((?!serve)[^`]+)`", rehearsal.partition("look at")[0]),
        *re.findall(r"^ +positions-mcp paper ([^#\n]+)", market, re.MULTILINE),
    ]
    assert [words.split()[0] for words in commands] == ["reset", "clock", "clock", *["market"] * 4]
    for words in commands:
        assert main(["paper", *words.split(), "--data-dir", str(tmp_path)]) == 0, words
        assert capsys.readouterr().err == ""

"""What the manual says of the paper exchange's behaviour says where it comes from."""

from __future__ import annotations

from pathlib import Path

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

"""What the journal says of a question that is put to a person by a form, and when that form is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ASKED = "awaiting approval"
SHOWN_AGAIN = "form shown again"
NOT_ANSWERED = "form not answered"
NOT_TAKEN = "yes not taken"
"""A form came back with a yes that was refused."""
BY_FORM = {"by": "form"}
"""What is told beside that somebody was asked by a form."""
EVENTS = (ASKED, SHOWN_AGAIN, NOT_ANSWERED, NOT_TAKEN)


def is_open(told: Iterable[tuple[str, Mapping[str, object]]]) -> bool:
    """Whether a form is open, by the events and contents of an undecided operation, oldest first."""
    is_shown = False
    for event, content in told:
        if event in (ASKED, SHOWN_AGAIN):
            is_shown = is_shown or content.get("by") == BY_FORM["by"]
        elif event in (NOT_ANSWERED, NOT_TAKEN):
            is_shown = False
    return is_shown

"""What the journal says of a question that is put to a person by a form, and when that form is open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

_FORM = "form"
ASKED = "awaiting approval"
SHOWN_AGAIN = "form shown again"
NOT_ANSWERED = "form not answered"
NOT_TAKEN = "yes not taken"
"""A form came back with a yes that was refused."""
EVENTS = (ASKED, SHOWN_AGAIN, NOT_ANSWERED, NOT_TAKEN)


def by_form(process: str) -> dict[str, str]:
    """What is told beside that somebody was asked by a form.

    `process` is the server with which the form ends; empty where any server of the store takes its answer.
    """
    return {"by": _FORM} | ({"process": process} if process else {})


def shown_by(told: Iterable[tuple[str, Mapping[str, object]]]) -> frozenset[str]:
    """The servers that show a form which has not come back, by the events of an undecided operation, oldest first.

    Empty is the name of those with which no form ends.
    """
    shown: frozenset[str] = frozenset()
    for event, content in told:
        if event in (ASKED, SHOWN_AGAIN) and content.get("by") == _FORM:
            shown |= {str(content.get("process", ""))}
        elif event in (NOT_ANSWERED, NOT_TAKEN):
            shown = frozenset()
    return shown


def still_shown(by: Collection[str], alive: Collection[str]) -> frozenset[str]:
    """Of the servers that show a form those that are alive: with the others their forms are gone."""
    return frozenset(each for each in by if not each or each in alive)

"""Servers alive on a store: who can send what is approved, where a supervisor's page is, and which forms they show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan

ALIVE_FOR = timedelta(seconds=30)
"""How long a server counts as alive after it last said so. It says so every ten seconds."""
_QUIET = timedelta(seconds=15)


class Server(Frozen):
    """One process on the store, as it said last. It counts as alive until `until`. A label, not evidence."""

    process: str = Field(min_length=1)
    mode: Mode
    accounts: tuple[AccountId, ...]
    sends: bool
    """Whether it sends what is approved; a desk alone does not."""
    desk_url: str | None = None
    """The address of the page it serves, if it serves one."""
    until: AwareDatetime
    policy: str = ""
    """The fingerprint of the limits it goes by."""
    since: AwareDatetime | None = None
    """When it first said that it is there."""

    def can_send(self, plan: Plan) -> bool:
        """Whether it would send this plan once it is approved."""
        return self.sends and self.mode is plan.mode and plan.account_id in self.accounts

    def silent_s(self, now: datetime) -> int:
        """Seconds since it was last heard of, where it should have said something by now; else 0."""
        silence = now - (self.until - ALIVE_FOR)
        return int(silence.total_seconds()) if silence > _QUIET else 0


def of_another_policy(servers: Collection[Server], process: str, policy: str, mode: Mode) -> int:
    """How many servers that send were there before `process` and go by other limits than it does."""
    others = [each for each in servers if each.sends and each.mode is mode and each.policy not in ("", policy)]
    mine = next((each.since for each in servers if each.process == process), None)
    return sum(mine is None or (each.since is not None and each.since < mine) for each in others)


def pages_of(servers: Iterable[Server], process: str) -> Iterator[str]:
    """The addresses of pages on this store that `process` can send somebody to: https ones, and its own machine's."""
    machine = _machine(process)
    pages = ((server.desk_url, _machine(server.process)) for server in servers if server.desk_url)
    return (url for url, where in pages if where == machine or url.startswith("https://"))


def _machine(process: str) -> tuple[str, str]:
    """Host and boot, of "host:process id:boot"."""
    return process.partition(":")[0], process.rpartition(":")[2]


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

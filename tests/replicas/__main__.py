"""`make faults`, its part with three replicas: every fault at every step, clocks apart, a rolling restart under load.

    python -m replicas [WHAT [PART/PARTS]]

WHAT is `closes`, of one position each; `kinds`, of whole accounts, exercise instructions and closes under a mandate;
`kinds-by-two`, where a whole account takes two people; `broker`, of closes while connections to the exchange are reset,
torn in the middle of an answer, or silent; `upgrades`, while later releases migrate the store, or an older one comes
back; or `races` and `races-by-two`, of people and servers who decide one close at the same moment. A part of the matrix
of faults, or of the races, has some of everything.
Prints what broke where and what came of it; the checker decides. Exit code 1 if any promise was broken.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import anyio

from replicas import checker, kinds
from replicas.campaign import FAULTS, LONGEST_CALL_S, STEPS, Campaign, Case, Fault, campaigning, history, kept
from replicas.cluster import ACCOUNTS, SHARES, SKEWS, cluster
from replicas.races import Race, Racing, races
from replicas.upgrades import Upgrades
from trading import ERAS

ROUND, RACES_AT_ONCE = 28, 200
"""Cases over one cluster; the positions of its exchange last for some more."""
T = TypeVar("T")


@dataclass(frozen=True)
class Course:
    """What is asked for while things break."""

    campaign: type[Campaign] = Campaign
    book: str = SHARES
    accounts: Sequence[int] = ACCOUNTS
    said: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings, by section."""
    lanes: int = 2
    """Callers who ask for something all the time, while things break."""
    faults: Sequence[Fault] = FAULTS

    def environment(self) -> dict[str, str]:
        return {
            f"{section}__{name}".upper(): str(value)
            for section in self.said
            for name, value in self.said[section].items()
        }


OTHER_KINDS = {"give_up_above": 1_000_000}
COURSES = {
    "closes": Course(),
    "kinds": Course(kinds.OtherKinds, kinds.BOOK, kinds.ACCOUNTS, {"approval": OTHER_KINDS}, 0),
    "kinds-by-two": Course(
        kinds.OtherKinds,
        kinds.BOOK,
        kinds.ACCOUNTS,
        {"approval": {**OTHER_KINDS, "two_persons_for_close_all": True}},
        0,
    ),
    "broker": Course(lanes=1, faults=("broker cut", "broker torn", "broker gone")),
    "upgrades": Course(Upgrades, lanes=0, faults=("schema", "older")),
}
RACES = {"races": Course(), "races-by-two": Course(said={"approval": {"two_persons_above": 0}})}


async def under_load(campaign: Campaign, cases: Sequence[Case], lanes: int) -> None:
    """All cases one after another, then a rolling restart, while others go on closing."""
    async with anyio.create_task_group() as tasks:
        for lane in range(lanes):
            tasks.start_soon(go_on, campaign, lane)
        for number, case in enumerate(cases):
            print(number, case, file=sys.stderr, flush=True)
            await campaign.run(case)
        await campaign.rolling_restart()
        tasks.cancel_scope.cancel()


async def go_on(campaign: Campaign, lane: int) -> None:
    """A caller who asks for one thing after another."""
    for turn in count():
        await campaign.ask_next(Case("none", era=ERAS[(lane + turn) % 2], way=("form", "desk")[lane % 2], first=turn))


async def round_of(course: Course, cases: Sequence[Case]) -> dict[str, Any]:
    """All of them over one cluster, and what every witness saw."""
    with tempfile.TemporaryDirectory(prefix="proof-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        running = cluster(
            Path(folder), skews=SKEWS, book=course.book, accounts=course.accounts, said=course.environment()
        )
        async with running as firm, campaigning(firm, course.campaign, **course.said) as campaign:
            await under_load(campaign, cases, course.lanes)
            await campaign.settle()
            return await history(firm, campaign.story)


async def raced(course: Course, some: Sequence[Race]) -> dict[str, Any]:
    """The same of races, one after another."""
    with tempfile.TemporaryDirectory(prefix="proof-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        said = {**course.environment(), "APPROVAL__WAIT_S": "5"}
        async with (
            cluster(Path(folder), skews=SKEWS, said=said, callers=len(some)) as firm,
            campaigning(firm, Racing, **course.said) as campaign,
        ):
            for number, race in enumerate(some):
                print(number, race, file=sys.stderr, flush=True)
                await campaign.race(number, race)
            await campaign.settle()
            return await history(firm, campaign.story)


def proof(rounds: Callable[..., Any], course: Course, cases: Sequence[Any], at_once: int) -> int:
    """Run them in rounds, and let the checker decide. Returns how many promises were broken."""
    began, broken = time.monotonic(), list[str]()
    sprung, amounts, silences, left = Counter[tuple[str, str]](), Counter[str](), [0.0], 0
    for number, at in enumerate(range(0, len(cases), at_once)):
        record = anyio.run(rounds, course, cases[at : at + at_once])
        found = checker.broken(record)
        if found:
            file = Path(tempfile.gettempdir(), f"positions-mcp-history-{os.getpid()}-{number}.json")
            broken += [f"{words} ({kept(record, file)})" for words in found]
        sprung.update((f["fault"], f.get("step", "")) for f in record["faults"] if f.get("sprung", True))
        amounts.update(checker.counts(record))
        silences += [call.get("silence", 0.0) for call in record["clients"]]
        left += sum("Timeout" in call.get("error", "") for call in record["clients"])
    for (fault, step), times in sorted(sprung.items()):
        print(f"{fault:<10} {step:<18} {times:>4}")
    print(", ".join(f"{amount} {what}" for what, amount in amounts.items()))
    print(f"{left} calls had no answer within {LONGEST_CALL_S:.0f} s; without a word one waited {max(silences):.0f} s.")
    print(f"{len(cases)} cases in {time.monotonic() - began:.0f} s. Promises broken: {len(broken)}.")
    print("\n".join(broken))
    return len(broken)


def matrix(faults: Sequence[Fault] = FAULTS) -> list[Case]:
    """Every fault at every step, by either way and in either era."""
    turn = count()
    return [
        Case(fault, step, nth, era, way, next(turn))
        for way in ("form", "desk")
        for era in ERAS
        for step in STEPS
        for nth in ((1,) if "request" in step else (1, 2, 3, 4, 5, 6))
        for fault in faults
    ]


def part(said: str, whole: Sequence[T]) -> Sequence[T]:
    """Some of the cases."""
    which, of = map(int, said.split("/"))
    cases = list(whole)
    random.Random(20261127).shuffle(cases)
    return cases[which - 1 :: of]


def run(name: str, which: str) -> int:
    """A part of a course. Returns how many promises were broken."""
    if name in RACES:
        return proof(raced, RACES[name], part(which, races(by_two=bool(RACES[name].said))), RACES_AT_ONCE)
    return proof(round_of, COURSES[name], part(which, matrix(COURSES[name].faults)), ROUND)


def main(what: str = "", said: str = "") -> int:
    """All closes; of the other kinds an eighth each, 28 cases; of the races a sixth; of the others 12 and 4 cases."""
    parts = {
        "closes": "1/1",
        "kinds": "1/8",
        "kinds-by-two": "2/8",
        "broker": "1/14",
        "upgrades": "1/28",
        "races": "1/6",
        "races-by-two": "1/6",
    }
    wanted = {what: said or "1/1"} if what else parts
    return sum(run(name, which) for name, which in wanted.items())


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)

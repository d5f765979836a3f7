"""Comparing times: in one run, turn by turn, by the best round of each side."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """`work`, answering the seconds it takes."""

    def run() -> float:
        begin = perf_counter()
        work()
        return perf_counter() - begin

    return run


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of one side of a comparison, round by round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """Seconds of the quickest round: whatever else the machine does can only add to it."""
        return min(self.seconds)


def taking_turns(*measures: Callable[[], float], rounds: int, warm_up: int = 3) -> list[Times]:
    """What each of `measures` answers, in seconds.

    In every round each of them has one turn, so that what else the machine does falls on all alike; who begins
    changes from round to round. The first `warm_up` rounds do not count.
    """
    seconds: list[list[float]] = [[] for _ in measures]
    for number in range(warm_up + rounds):
        first = number % len(measures)
        for turn in (*range(first, len(measures)), *range(first)):
            gc.collect()
            spent = measures[turn]()
            if number >= warm_up:
                seconds[turn].append(spent)
    return [Times(tuple(each)) for each in seconds]

"""Comparing times: in one run, turn by turn, by their medians."""

from __future__ import annotations

import gc
from collections.abc import Callable
from statistics import median
from time import perf_counter


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """`work`, answering the seconds it takes."""

    def run() -> float:
        begin = perf_counter()
        work()
        return perf_counter() - begin

    return run


def medians(*measures: Callable[[], float], rounds: int, warm_up: int = 3) -> list[float]:
    """The median seconds that each of `measures` answers.

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
    return [median(each) for each in seconds]

"""What one supervised close costs, how many leave in a second, and a hundred at once.

A close is asked for, shown to a person in a form, approved, sent and followed, in one call over standard input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from statistics import median
from time import perf_counter

from benchmarks.client import close_plainly
from benchmarks.processes import ACCOUNT, McpProcess
from benchmarks.report import Finding
from benchmarks.scale.place import Place
from benchmarks.scale.stores import Store
from benchmarks.scale.thin import close, server, share, thin_upstream

_POSITIONS = 400
_WARM_UP = 3
_CPU_MS, _WRITES = 45, 4
_A_SECOND = 40
_ROW_MS = 10
_BESIDE_HOT = 1.2


def one_close(place: Place) -> Iterator[Finding]:
    """Time of the processor, and what is written, for each close in an account of 400 positions."""
    count = place.sizes.closes
    for store in place.stores("close"):
        with thin_upstream(_POSITIONS) as api, server(api, store) as ours:
            _close_some(ours, ACCOUNT, range(_WARM_UP))
            spent, written = ours.processor_s, [store.writes()]
            for number in range(_WARM_UP, _WARM_UP + count):
                _close_some(ours, ACCOUNT, range(number, number + 1))
                written.append(store.writes())
            what = f"one supervised close of {_POSITIONS} positions, {store.name}"
            yield Finding(f"{what}, processor", 1e3 * (ours.processor_s - spent) / count, "ms", _CPU_MS)
            # The median: once in ten seconds a server also writes down that it is alive.
            writes = median(after - before for before, after in pairwise(written))
            yield Finding(f"{what}, store writes", writes, "writes", _WRITES)


def closes_a_second(place: Place) -> Iterator[Finding]:
    """Approved closes of 1 to 4 processes over one store, each process in an account of its own."""
    for processes in place.sizes.processes:
        for store in place.stores(f"second-{processes}"):
            with ExitStack() as running:
                all_of_them = _processes(running, store, processes)
                each = [
                    (ours, ACCOUNT + number, range(_WARM_UP, _WARM_UP + place.sizes.closes))
                    for number, ours in enumerate(all_of_them)
                ]
                begin = perf_counter()
                _at_once(each)
                rate = processes * place.sizes.closes / (perf_counter() - begin)
            limit = _A_SECOND if processes == max(place.sizes.processes) and store.name == "PostgreSQL" else None
            what = f"approved closes a second, {processes} process{'es' if processes > 1 else ''}, {store.name}"
            yield Finding(what, rate, "closes/s", limit, at_least=True)


def hot_account(place: Place) -> Iterator[Finding]:
    """A close in a quiet account, while three processes close in one account, and while they do in three."""
    closes, others = place.sizes.closes, max(place.sizes.processes) - 1
    for store in place.stores("hot"):
        taken: dict[bool, list[float]] = {True: [], False: []}
        with ExitStack() as running:
            quiet, *busy = _processes(running, store, 1 + others)
            for turn in range(4):
                hot = bool(turn % 2)
                work = [(quiet, ACCOUNT, _places(turn, 0, closes))]
                for number, ours in enumerate(busy):
                    account = ACCOUNT + 1 if hot else ACCOUNT + 1 + number
                    work.append((ours, account, _places(turn, number if hot else 0, closes)))
                taken[hot] += _at_once(work)[0]
        what = f"a close beside three processes on one account, floor: on three accounts, {store.name}"
        measured, base = median(taken[True]), median(taken[False])
        yield Finding(what, 1e3 * measured, "ms", _BESIDE_HOT, base=1e3 * base)


def hundred_rows(place: Place) -> Iterator[Finding]:
    """One close of a hundred instruments beside the same requests, each on a connection of its own."""
    rows = place.sizes.rows_at_once
    for store in place.stores("hundred"):
        with thin_upstream(_POSITIONS) as api, server(api, store) as ours:
            _close_some(ours, ACCOUNT, range(_WARM_UP))
            spent, begin = ours.processor_s, perf_counter()
            close(ours, [share(number) for number in range(_WARM_UP, _WARM_UP + rows)])
            taken, spent = perf_counter() - begin, ours.processor_s - spent
            begin = perf_counter()
            for number in range(_WARM_UP + rows, _WARM_UP + 2 * rows - _WARM_UP):
                close_plainly(api, api.instrument(number))
            floor = (perf_counter() - begin) / (rows - _WARM_UP) if rows > _WARM_UP else None
        what = f"{rows} rows in one close, {store.name}"
        each = 1e3 / rows
        base = None if floor is None else 1e3 * floor
        yield Finding(f"{what}, each", taken * each, "ms", _ROW_MS, base=base, absolute=True)
        yield Finding(f"{what}, each, processor", spent * each, "ms", None)


def _processes(running: ExitStack, store: Store, count: int) -> list[McpProcess]:
    """Servers over one store and upstream, each of which may close in every account."""
    api = running.enter_context(thin_upstream(_POSITIONS * 2))
    accounts = tuple(range(ACCOUNT, ACCOUNT + count))
    # Each is a caller of its own: one caller is asked one question at a time.
    each = [server(api, store, accounts, client=f"client {number}") for number in range(count)]
    all_of_them = [running.enter_context(ours) for ours in each]
    for number, ours in enumerate(all_of_them):
        _close_some(ours, ACCOUNT + number, range(_WARM_UP))
    return all_of_them


def _at_once(work: Sequence[tuple[McpProcess, int, range]]) -> list[list[float]]:
    """The seconds of every close of each process, all of which close at the same time."""
    with ThreadPoolExecutor(len(work)) as pool:
        return [each.result() for each in [pool.submit(_close_some, *each) for each in work]]


def _close_some(ours: McpProcess, account: int, numbers: range) -> list[float]:
    taken = []
    for number in numbers:
        begin = perf_counter()
        close(ours, [share(number)], account)
        taken.append(perf_counter() - begin)
    return taken


def _places(turn: int, process: int, closes: int) -> range:
    """The positions that a process closes in a turn: none is closed twice in an account."""
    first = _WARM_UP + (4 * process + turn) * closes
    return range(first, first + closes)

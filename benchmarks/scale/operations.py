"""What a store of a hundred thousand operations costs: a process's first call, a halt, and verifying it all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from benchmarks.processes import POSITIONS_MCP, McpProcess, environment, result_of
from benchmarks.report import Finding
from benchmarks.scale.many_operations import Template, fill
from benchmarks.scale.place import Place
from benchmarks.scale.stores import Store
from benchmarks.scale.thin import Thin, close, server, settings, share, thin_upstream

_FIRST_S, _HALT_S, _VERIFY_S, _VERIFY_MB = 0.3, 0.5, 20, 200
_MEANWHILE_S = 1
"""How long a close may take, beyond the usual, while another process looks at the whole store."""
_COUNTING = """\
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
sys.exit(code)
"""
"""Runs a command from a small process: Linux counts the memory of the one that starts it as its own."""
_CLOSES = 40
"""At most, beside one command: a store's closes come from a hundred shares of their own."""


def hundred_thousand(place: Place) -> Iterator[Finding]:
    """A process's first calls, a halt, `verify` and `doctor`, beside a store of a few operations."""
    count, rounds = place.sizes.operations, min(place.sizes.rounds, 3)
    for few, many in zip(place.stores("few"), place.stores("many"), strict=True):
        with thin_upstream(400) as api:
            with server(api, few) as ours:
                close(ours, [share(0)])
            fill(many, count, Template.of(few, {datetime.now(UTC).date(), api.market_day}))
            of_few, of_many = (_Measured(api, store, rounds, first) for store, first in ((few, 10), (many, 100)))
        held = f"{count:,} operations, {many.name}"
        for what, limit, floor, found in (
            (
                "first status of a process, beyond that on few",
                _FIRST_S,
                of_few.status_s,
                of_many.status_s - of_few.status_s,
            ),
            ("first close of a process", None, of_few.close_s, of_many.close_s),
            ("halt, beyond that on few", _HALT_S, of_few.halt_s, of_many.halt_s - of_few.halt_s),
            ("verify", _VERIFY_S, of_few.verify.seconds, of_many.verify.seconds),
            ("verify, processor", None, of_few.verify.processor_s, of_many.verify.processor_s),
            ("longest close during verify, beyond usual", _MEANWHILE_S, of_many.usual_s, of_many.during_verify_s),
            ("doctor", None, of_few.doctor.seconds, of_many.doctor.seconds),
            ("longest close during doctor, beyond usual", _MEANWHILE_S, of_many.usual_s, of_many.during_doctor_s),
        ):
            yield Finding(f"{held}: {what}", found, "s", limit, base=floor, absolute=True)
        yield Finding(
            f"{held}: verify, memory",
            of_many.verify.peak_mb,
            "MB",
            _VERIFY_MB,
            base=of_few.verify.peak_mb,
            absolute=True,
        )


@dataclass(frozen=True, slots=True)
class _Command:
    """What a command took."""

    seconds: float
    processor_s: float
    peak_mb: float


class _Measured:
    """A store, measured from outside by servers and commands that have only just started."""

    def __init__(self, api: Thin, store: Store, rounds: int, first: int) -> None:
        self._api, self._store, self._closed = api, store, first
        self.status_s = min(self._first(lambda ours: result_of(ours.call("get_trading_status"))) for _ in range(rounds))
        self.close_s = min(self._first(self._close) for _ in range(rounds))
        with server(api, store) as ours:
            self._close(ours)
            self.usual_s = min(self._timed_close(ours) for _ in range(3))
            self.verify, self.during_verify_s = self._beside(ours, "operations", "verify")
            self.doctor, self.during_doctor_s = self._beside(ours, "doctor")
        self.halt_s = min(self._run("halt", "for the benchmark").seconds for _ in range(rounds))

    def _first(self, ask: Callable[[McpProcess], object]) -> float:
        with server(self._api, self._store) as ours:
            ours.tools()
            begin = perf_counter()
            ask(ours)
            return perf_counter() - begin

    def _close(self, ours: McpProcess) -> None:
        self._closed += 1
        close(ours, [share(self._closed)])

    def _timed_close(self, ours: McpProcess) -> float:
        begin = perf_counter()
        self._close(ours)
        return perf_counter() - begin

    def _beside(self, ours: McpProcess, *command: str) -> tuple[_Command, float]:
        """What a command takes, and the longest close meanwhile, beyond the usual."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._run, *command)
            taken = [self._timed_close(ours)]
            while not running.done() and len(taken) < _CLOSES:
                taken.append(self._timed_close(ours))
            return running.result(), max(taken) - self.usual_s

    def _run(self, *command: str) -> _Command:
        env = environment(settings(self._api, self._store))
        whole = [sys.executable, "-Ic", _COUNTING, *POSITIONS_MCP, *command, *self._store.options]
        begin = perf_counter()
        ended = subprocess.run(whole, capture_output=True, text=True, env=env, check=False)
        taken = perf_counter() - begin
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-500:]}")
        processor_s, peak_kib = json.loads(ended.stdout.splitlines()[-1])
        return _Command(taken, processor_s, peak_kib * 1024 / 1e6)

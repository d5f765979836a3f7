"""`make faults`: the whole campaign, and its table. Exit code 1 if any promise was broken."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from faults.campaign import CRASHES, FAULTS, KINDS, Case, Truth, run, run_killed
from faults.damage import OTHERS, brake, make_template, pages, values

RANDOM_RUNS = 1_000
KILLS_AT_A_STEP = 40
KILLS_AT_AN_INSTANT = 20
DAMAGED_PAGES = 500
LONGEST_INSTANT_S = 0.4
AT_ONCE = 2


@dataclass
class Line:
    """One line of the table: all runs of one kind with one fault."""

    runs: int = 0
    crashes: int = 0
    effects: int = 0
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    broken: list[str] = field(default_factory=list)

    def add(self, case: Case, truth: Truth) -> None:
        self.runs += 1
        self.crashes += truth.crashed
        self.effects += truth.effects
        self.states[truth.state] += 1
        self.broken += [f"{broken} ({case.written})" for broken in truth.broken]


async def campaign(seed: int) -> int:
    """Run everything, two runs at a time, and print what came of it."""
    draw, lines, started = random.Random(seed), defaultdict[tuple[str, str], Line](Line), time.monotonic()
    matrix = [Case(kind, fault, crash) for kind in KINDS for fault in FAULTS for crash in CRASHES]
    work: list[tuple[Case, Callable[[Case, Path], Awaitable[Truth]]]] = [(case, run) for case in matrix]
    work += [(Case.drawn(draw), run) for _ in range(RANDOM_RUNS - len(matrix))]
    steps = [crash for crash in CRASHES if crash != "none"]
    for number in range(KILLS_AT_A_STEP):
        work.append((Case(draw.choice(KINDS), draw.choice(FAULTS), steps[number % len(steps)]), run_killed))
    for _ in range(KILLS_AT_AN_INSTANT):
        work.append((Case(draw.choice(KINDS), draw.choice(FAULTS), "none"), at_an_instant(draw)))
    queue = iter(work)

    async def worker() -> None:
        for case, how in queue:
            with tempfile.TemporaryDirectory(prefix="positions-mcp-faults-") as folder:
                lines[case.kind, case.fault].add(case, await how(case, Path(folder)))

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(worker)
    print_table(lines, seed, time.monotonic() - started)
    unbraked = await anyio.to_thread.run_sync(brakes)
    return 1 if unbraked or any(line.broken for line in lines.values()) else 0


def brakes() -> int:
    """Damage the store in every way, and use both brakes. Returns how many promises were broken."""
    cases = [*OTHERS.items(), *values(), *((f"pages, seed {seed}", pages(seed)) for seed in range(DAMAGED_PAGES))]
    came, broken = Counter[tuple[str, str]](), list[str]()
    with tempfile.TemporaryDirectory(prefix="positions-mcp-faults-") as folder:
        template = Path(folder, "template")
        make_template(template)
        for name, damage in cases:
            with tempfile.TemporaryDirectory(prefix="positions-mcp-faults-") as own:
                found = brake(template, Path(own), damage)
            came[found.halt, found.flatten] += 1
            broken += [f"{text} ({name})" for text in found.broken]
    print(f"\n{len(cases)} damaged stores, of them {DAMAGED_PAGES} with damaged pages. Promises broken: {len(broken)}.")
    print("\n".join([*(f"{halt}; flatten on {flatten}: {times}" for (halt, flatten), times in came.items()), *broken]))
    return len(broken)


def at_an_instant(draw: random.Random) -> Callable[[Case, Path], Awaitable[Truth]]:
    """A run that is killed at an instant nobody chose."""
    after_s = draw.uniform(0, LONGEST_INSTANT_S)

    async def killed(case: Case, folder: Path) -> Truth:
        return await run_killed(case, folder, after_s=after_s)

    return killed


def print_table(lines: dict[tuple[str, str], Line], seed: int, seconds: float) -> None:
    """A line for each kind and fault, then the sums and every broken promise in full."""
    head = f"{'kind':<20} {'fault':<20} {'runs':>5} {'crashes':>7} {'effects':>7} {'broken':>6}  states"
    print(head, "─" * len(head), sep="\n")
    for (kind, fault), line in sorted(lines.items()):
        states = ", ".join(f"{state} {count}" for state, count in sorted(line.states.items()))
        print(
            f"{kind:<20} {fault:<20} {line.runs:>5} {line.crashes:>7} {line.effects:>7} {len(line.broken):>6}  {states}"
        )
    broken = [text for line in lines.values() for text in line.broken]
    runs, crashes = sum(line.runs for line in lines.values()), sum(line.crashes for line in lines.values())
    print(
        f"\n{runs} runs, {crashes} crashes (of them {KILLS_AT_A_STEP + KILLS_AT_AN_INSTANT} processes sent SIGKILL), ",
        end="",
    )
    print(f"seed {seed}, {seconds:.0f} s. Promises broken: {len(broken)}.")
    print("Effects per approved request: at most one in every run." if not broken else "\n".join(broken))


if __name__ == "__main__":
    sys.exit(anyio.run(campaign, int(sys.argv[1]) if len(sys.argv) > 1 else 20261122))

"""Whatever the exchange does and wherever the program dies: at most one effect, and no intent forgotten."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from faults.campaign import CRASHES, FAULTS, KINDS, Case, run, run_killed

STEPS = CRASHES[1:]


@pytest.mark.requirement("G-04", "G-05", "G-06", "P-05")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_no_fault_and_no_crash_repeats_an_effect_or_loses_an_intent(
    tmp_path: Path, kind: str, fault: str
) -> None:
    crash = STEPS[(FAULTS.index(fault) + KINDS.index(kind)) % len(STEPS)]
    truth = await run(Case(kind, fault, crash), tmp_path)
    assert truth.broken == []


@pytest.mark.requirement("G-04", "G-05")
@pytest.mark.parametrize("seed", range(10))
async def test_no_mixture_of_instruments_faults_and_crashes_does_either(tmp_path: Path, seed: int) -> None:
    truth = await run(Case.drawn(random.Random(seed)), tmp_path)
    assert truth.broken == []


@pytest.mark.requirement("G-04")
@pytest.mark.parametrize("crash", STEPS)
async def test_a_killed_process_leaves_what_it_was_doing_on_disk(tmp_path: Path, crash: str) -> None:
    truth = await run_killed(Case("close_positions", "none", crash), tmp_path)
    assert truth.crashed
    assert truth.broken == []

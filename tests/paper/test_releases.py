"""Every release of the official SDK on PyPI: its own contract strictly and with every fault, the others in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from paper.releases import probe
from positions_mcp.paper.fault_kinds import CONDITIONS

CACHE = Path(__file__).parents[2] / ".cache" / "clearstreet"
RELEASES = {
    "0.4.0": "seed",
    "0.5.0": "summer",
    "0.6.0": "summer",
    "0.7.0": "summer",
    "0.8.0": "current",
    "0.9.0": "current",
    "0.10.0": "current",
    "0.11.0": "current",
}
KNOWN_KEYS = {"seed": {"old"}, "summer": {"old"}, "current": {"new"}, "auto": {"old", "new"}}
NOT_SENT, NO_ANSWER = ("APIConnectionError", False), ("APIConnectionError", True)
OUTCOMES = {
    "none": ("answered", True),
    "delay": ("answered", True),
    "non_json_body": ("answered", True),
    "empty_204": ("answered", True),
    "unknown_fields": ("answered", True),
    "refuse": NOT_SENT,
    "drop_before_effect": NOT_SENT,
    "drop_after_effect": NO_ANSWER,
    "truncated_body": NO_ANSWER,
    "status_401": ("AuthenticationError", False),
    "status_403": ("PermissionDeniedError", False),
    "status_404": ("NotFoundError", False),
    "status_408": ("APIStatusError", False),
    "status_409": ("ConflictError", False),
    "status_422": ("UnprocessableEntityError", False),
    "status_429": ("RateLimitError", False),
    "status_500": ("InternalServerError", False),
    "status_503": ("InternalServerError", False),
    "clearing_down": ("InternalServerError", False),
}
"""What the SDK makes of a fault, and whether a write has had its effect; of every other fault nothing but its rows."""


def installed(release: str) -> Path:
    """The folder of a release, without its dependencies; installed when it is first needed, and kept."""
    folder = CACHE / release
    if not folder.is_dir():
        making = CACHE / f"{release}.{os.getpid()}"
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        subprocess.run([*pip, "--target", str(making), f"clearstreet=={release}"], check=True)
        try:
            making.rename(folder)
        except OSError:  # another process was first
            assert folder.is_dir()
    return folder


@cache
def probed(release: str, folder: Path) -> dict[str, Any]:
    """What a release found in its own process, or the error it ended with."""
    run = subprocess.run(
        [sys.executable, probe.__file__, release, RELEASES[release], str(folder)],
        env=os.environ | {"PYTHONPATH": str(installed(release))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture
def found(release: str, folder: Path) -> dict[str, Any]:
    (folder / release).mkdir(exist_ok=True)
    return probed(release, folder / release)


@pytest.mark.parametrize("release", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in RELEASES])
@pytest.mark.requirement("P-04")
def test_every_answer_of_every_operation_is_strictly_valid_for_the_release_in_its_contract(found: dict[str, Any]):
    assert set(found["strict"]) == set(probe.OPERATIONS)
    assert min(found["strict"].values()) >= 3, found["strict"]


@pytest.mark.parametrize("release", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in RELEASES])
@pytest.mark.requirement("P-04", "P-05")
def test_every_fault_of_every_operation_is_what_it_says(release: str, found: dict[str, Any]):
    cells = found["matrix"]
    assert [*cells] == [" ".join(cell) for cell in probe.cells_of(release, RELEASES[release])]
    wrong = {
        place: (cell, right) for place, cell in cells.items() if cell != (right := expected(release, *place.split(" ")))
    }
    assert not wrong


@pytest.mark.parametrize("name", ["old", "new"])
def test_every_fault_of_every_operation_is_tried_in_every_contract_with_either_name_of_a_key(name: str):
    tried = {
        cell for release in RELEASES if key_of(release) == name for cell in probe.cells_of(release, RELEASES[release])
    }
    assert len(tried) == len(probe.CONTRACTS) * len(probe.CELLS)


def key_of(release: str) -> str:
    """Whether a caller's key has the old name or the new one in a release."""
    return "old" if int(release.split(".")[1]) < 8 else "new"


def expected(release: str, contract: str, operation: str, fault: str) -> list[Any]:
    """The SDK's outcome, the effects of a write, and the faults left over: none but those that hold until cleared."""
    outcome, happens = OUTCOMES.get(fault, ("answered", True))
    is_read = happens or fault in ("status_500", "clearing_down")  # which are answered row by row
    left = int(fault in CONDITIONS or fault == "changed_total")  # which strikes from the second page on
    if operation == "submit_position_instructions" and key_of(release) not in KNOWN_KEYS[contract] and is_read:
        return ["BadRequestError", 0, left]  # a key under a name that the contract does not know
    return [outcome, int(happens and operation in probe.WRITES), left]

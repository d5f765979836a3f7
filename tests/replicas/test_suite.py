"""Some of the suites of tools and of self-approval, over three replicas; `make replicas` runs all of them so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN_PATHS = (
    "tools/test_close_positions.py::test_a_close_is_asked_about_sent_and_followed_until_nothing_is_left",
    "tools/test_list_positions.py::test_a_cursor_walks_its_snapshot_after_the_book_changed",
)
CANNOT_APPROVE = (
    "self_approval/test_client.py::test_a_replayed_state_with_its_answer_sends_nothing_again",
    "self_approval/test_client.py::test_an_answer_to_one_question_does_not_approve_other_arguments",
    "self_approval/test_model.py::test_declined_targets_are_not_asked_about_again_however_they_are_named",
)


@pytest.mark.xdist_group("three replicas")
@pytest.mark.requirement("G-01", "G-02", "G-06")
def test_clients_whose_every_request_goes_to_another_replica_are_served_and_cannot_approve_for_themselves() -> None:
    named = [f"tests/{name}" for name in (*MAIN_PATHS, *CANNOT_APPROVE)]
    command = [sys.executable, "-m", "pytest", "-q", "--replicas", "-p", "no:cacheprovider", *named]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "8 passed, over three replicas" in run.stdout

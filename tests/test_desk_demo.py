"""`make desk`: whoever follows what the terminal says sees the account go flat."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

PROGRAM = Path(sys.executable).with_name("positions-mcp")
_SECONDS = 60


@contextmanager
def demo() -> Iterator[IO[str]]:
    """The demo in a process of its own, and what it prints."""
    words = [str(PROGRAM), "demo", "--desk", "--plain"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)


def told(lines: IO[str], pattern: str) -> str:
    """What the terminal says next that fits."""
    for line in lines:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"it ended before it said {pattern}")


@pytest.mark.requirement("G-19")
def test_a_person_who_follows_the_terminal_approves_and_sees_the_account_go_flat() -> None:
    with demo() as lines:
        link, passphrase = told(lines, r"page\s+(http\S+)$"), told(lines, r"passphrase\s+(.+)$")
        origin, _, operation_id = link.partition("/op/")
        with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=_SECONDS) as page:
            page.headers["x-desk-token"] = page.post("/api/session", json={"passphrase": passphrase}).json()["token"]
            plan = page.get(f"/api/operations/{operation_id}").json()
            decision = {"digest": plan["digest"], "passphrase": passphrase, "note": "go ahead"}
            assert page.post(f"/api/operations/{operation_id}/approve", json=decision).status_code == 200
            assert told(lines, r"account is (FLAT)") == "FLAT"
            story = page.get(f"/api/operations/{operation_id}/follow").json()
            assert story["state"] == "CLOSED"
            assert {row["residual"] for row in story["rows"]} == {"0"}
            assert page.get(f"/api/accounts/{plan['account']}/book").json()["positions"] == []

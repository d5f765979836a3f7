"""What docs say of hosts is what can be installed."""

from __future__ import annotations

from pathlib import Path

from positions_mcp.cli.install.hosts import HOSTS

PAGE = Path(__file__).parents[1] / "docs" / "hosts.md"


def test_the_table_has_every_host_that_can_be_installed_and_how() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    installed = [(row[0].removeprefix("| "), row[1]) for row in rows if "positions-mcp install" in row[1]]
    assert installed == [(host.title, f"`positions-mcp install {host.name}`") for host in HOSTS]

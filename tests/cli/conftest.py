"""One furnished data directory, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.person import Place, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as `furnish` leaves it."""
    data_dir = tmp_path_factory.mktemp("furnished")
    furnish(data_dir)
    return data_dir


@pytest.fixture
def place(furnished: Path, tmp_path: Path) -> Place:
    """A data directory of the test's own, with a paper book and an approver."""
    shutil.copytree(furnished, tmp_path / "data")
    return Place(tmp_path / "data")


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A data directory with nothing in it."""
    return Place(tmp_path / "data")

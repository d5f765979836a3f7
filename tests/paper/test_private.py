"""The file of a paper book is its owner's, and where it leads is not somebody else's choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from positions_mcp.paper.database import FILE_NAME, connect
from positions_mcp.paper.errors import BookError


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BookError, match="symbolic link"):
        connect(tmp_path / "data")
    assert not (tmp_path / "elsewhere").exists()

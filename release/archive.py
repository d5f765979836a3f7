"""Zip archives that are the same, byte for byte, whenever the same is put into them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


def write(archive: Path, contents: Mapping[str, bytes], date: str) -> None:
    """Write an archive of these files, in the order of their names, all of one date and readable by all."""
    moment = datetime.fromtimestamp(int(date), UTC)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name in sorted(contents):
            member = zipfile.ZipInfo(name, moment.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system, member.external_attr = 3, 0o100644 << 16
            file.writestr(member, contents[name])


def read(archive: Path) -> dict[str, bytes]:
    """What an archive holds, by name."""
    with zipfile.ZipFile(archive) as file:
        return {name: file.read(name) for name in file.namelist()}


def below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name from there."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

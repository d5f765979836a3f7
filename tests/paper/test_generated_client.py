"""A TypeScript client generated from the served specification compiles strictly and works, in every contract."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from paper.serving import serving
from positions_mcp.paper import DEFAULT_KEY

SOURCES = Path(__file__).parent / "generated"
CACHE = Path(__file__).parents[2] / ".cache" / "generated-client"


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with openapi-typescript, openapi-fetch and tsc, as the lock file has them; installed once."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:12]
    if not folder.is_dir():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, making)
        _run(making, "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        try:
            making.rename(folder)
        except OSError:  # another process was first
            assert folder.is_dir()
    return folder


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.xdist_group("generated client")
@pytest.mark.parametrize("contract", ["seed", "summer", "current"])
@pytest.mark.requirement("P-04")
def test_a_generated_client_compiles_strictly_and_works(packages: Path, tmp_path: Path, contract: str):
    folder = packages / contract
    folder.mkdir(exist_ok=True)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, folder)
    with serving(tmp_path, "expiry", contract) as served:
        (folder / "openapi.json").write_text(httpx.get(f"{served.url}/openapi.json").raise_for_status().text)
        tools = packages / "node_modules" / ".bin"
        _run(folder, str(tools / "openapi-typescript"), "openapi.json", "-o", "schema.d.ts")
        _run(folder, str(tools / "tsc"), "-p", "tsconfig.json")
        held, cancelled, listed, side, closed, missing = json.loads(
            _run(folder, "node", "client.js", served.url, DEFAULT_KEY)
        )
    assert (cancelled, listed, side, missing) == ("CANCEL_REQUESTED", True, "SELL", 404)
    assert held == closed == 8

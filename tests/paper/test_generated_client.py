"""A TypeScript client generated from the served specification compiles strictly and works, in every contract."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from paper.serving import serving
from positions_mcp.paper import DEFAULT_KEY

CONTRACTS = ("seed", "summer", "current")
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


@pytest.fixture(scope="module")
def programs(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, str]]]:
    """Of every contract the folder with the program over its generated client, and the address it is served at."""
    tools = packages / "node_modules" / ".bin"
    shutil.copy(SOURCES / "tsconfig.json", packages)
    with ExitStack() as stack:
        made = {}
        for contract in CONTRACTS:
            folder = packages / contract
            folder.mkdir(exist_ok=True)
            shutil.copy(SOURCES / "client.ts", folder)
            served = stack.enter_context(serving(tmp_path_factory.mktemp(contract), "expiry", contract))
            (folder / "openapi.json").write_text(httpx.get(f"{served.url}/openapi.json").raise_for_status().text)
            _run(folder, str(tools / "openapi-typescript"), "openapi.json", "-o", "schema.d.ts")
            made[contract] = folder, served.url
        _run(packages, str(tools / "tsc"), "-p", "tsconfig.json")
        yield made


@pytest.mark.xdist_group("generated client")
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.requirement("P-04")
def test_a_generated_client_compiles_strictly_and_works(programs: dict[str, tuple[Path, str]], contract: str):
    folder, url = programs[contract]
    held, cancelled, listed, side, closed, missing = json.loads(_run(folder, "node", "client.js", url, DEFAULT_KEY))
    assert (cancelled, listed, side, missing) == ("CANCEL_REQUESTED", True, "SELL", 404)
    assert held == closed == 8

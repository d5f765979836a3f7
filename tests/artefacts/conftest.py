"""What is released, built once, and surroundings as on a user's machine: an empty home and no setting of this one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from release import build
from release.places import ROOT, UV


@dataclass(frozen=True)
class Built:
    wheel: Path
    bundle: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the bundle."""
    folder = tmp_path_factory.mktemp("dist")
    _, wheel = build.packages(folder)
    return Built(wheel, build.bundle(folder, wheel))


@pytest.fixture
def alone(tmp_path: Path) -> Mapping[str, str]:
    """The variables of somebody who has uv and node, and has never used this program."""
    home = tmp_path / "home"
    home.mkdir()
    kept = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "LANG")
    return {
        "PATH": os.pathsep.join([str(UV.parent), os.environ["PATH"]]),
        "HOME": str(home),
        "UV_CACHE_DIR": str(ROOT / ".cache" / "uv"),
        "MCP_TIMEOUT": "300000",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        **{name: os.environ[name] for name in kept if name in os.environ},
    }

"""A wheel built from a folder of this repository, and an environment that holds it as a user would have it."""

from __future__ import annotations

import os
import venv
from pathlib import Path

from release.places import ROOT, UV, run

_KEPT = {**os.environ, "UV_CACHE_DIR": str(ROOT / ".cache" / "uv")}


def environment_of(project: Path, place: Path) -> Path:
    """The `bin` directory of a new environment with a project's built wheel, what it needs at run time, and no more."""
    run(UV, "build", "--quiet", "--wheel", "--out-dir", place, project, environment=_KEPT)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "environment")
    binaries = place / "environment" / "bin"
    install = (UV, "pip", "install", "--quiet", "--python", binaries / "python")
    run(*install, "--constraint", ROOT / "constraints.txt", wheel, cwd=place, environment=_KEPT)
    return binaries

"""`python -m release [bundle|versions]`: without a word everything is built and judged. Nothing is published."""

from __future__ import annotations

import hashlib
import shutil
import sys

from release import build, judge, versions
from release.places import DIST


def main(words: list[str]) -> None:
    """Do what the word says."""
    match words:
        case ["versions"]:
            versions.write()
            return
        case []:
            _everything()
        case ["bundle"]:
            _bundle()
        case _:
            sys.exit(__doc__)
    for file in sorted(DIST.iterdir()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(DIST.parent)}")


def _everything() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    source, wheel = build.packages(DIST)
    judge.packages(source, wheel)
    judge.bundle(build.bundle(DIST, wheel))
    judge.plugin(build.plugin(DIST))
    judge.registry_entry(build.registry_entry(DIST))
    judge.container()


def _bundle() -> None:
    DIST.mkdir(exist_ok=True)
    _, wheel = build.packages(DIST)
    judge.bundle(build.bundle(DIST, wheel))


main(sys.argv[1:])

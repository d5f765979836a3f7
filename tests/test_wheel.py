"""What is installed from the built wheel is the whole program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from release.places import run

from installing import environment_of
from positions_mcp import __version__
from positions_mcp.identity import MANUAL

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that holds the built wheel, its runtime dependencies and nothing else."""
    return environment_of(REPOSITORY, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_answers_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "positions-mcp", "--version", cwd=tmp_path).split()[-1] == __version__


def test_links_and_pictures_lead_somewhere_on_the_package_index(installed: Path, tmp_path: Path) -> None:
    read = "from importlib.metadata import metadata; print(metadata('positions-mcp').get_payload())"
    said = run(installed / "python", "-c", read, cwd=tmp_path)
    assert "## Use it from your assistant" in said
    links = re.findall(r"\]\(([^)]+)\)", said)
    assert [link for link in links if not link.startswith("https://")] == []
    assert f"{MANUAL}/install.md" in links
    (picture,) = (link for link in links if link.endswith(".png"))
    assert picture.startswith("https://raw.githubusercontent.com/")


def test_the_wheel_carries_its_prompts_and_config(installed: Path, tmp_path: Path) -> None:
    look = (
        "from positions_mcp.packaged import config_dir, prompts_dir; "
        "print(*sorted(p.name for d in (config_dir(), config_dir() / 'paper', prompts_dir()) for p in d.iterdir()))"
    )
    names = run(installed / "python", "-c", look, cwd=tmp_path).split()
    expected = {
        path.name for folder in ("config", "config/paper", "prompts") for path in (REPOSITORY / folder).iterdir()
    }
    assert {"default.toml", "demo.toml"} <= expected
    assert set(names) == expected


def test_the_wheel_runs_the_demo_to_its_end(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "positions-mcp", "demo", "--plain", "--transcript", "steps", cwd=tmp_path)
    assert "Use it from your assistant" in told
    steps = [json.loads(line) for line in (tmp_path / "steps").read_text(encoding="utf-8").splitlines()]
    assert all(step["text"] and step["structured"] and f"“{step['question']}”" in told for step in steps)
    assert {decision["approved"] for step in steps for decision in step["person"]} == {True, False}

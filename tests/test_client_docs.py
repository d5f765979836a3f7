"""The examples of the client's manual are what strict type checkers accept, as their reader's would."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MANUAL = (REPOSITORY / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)
A_MISTAKE = (
    "from positions_mcp.api import PositionsClient\n\nPositionsClient(1, 'k.s', contract='newest').close_position()\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody else's, with the manual's examples and a file with mistakes."""
    place = tmp_path_factory.mktemp("examples")
    for number, example in enumerate(EXAMPLES):
        (place / f"example_{number}.py").write_text(example, encoding="utf-8")
    (place / "mistake.py").write_text(A_MISTAKE, encoding="utf-8")
    (place / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}), encoding="utf-8")
    (place / "mypy.ini").write_text("[mypy]\nstrict = True\n", encoding="utf-8")
    return place


def files_refused_by(folder: Path, *checker: str) -> set[str]:
    """The files in which a type checker finds errors."""
    done = subprocess.run(
        [sys.executable, "-m", *checker], cwd=folder, check=False, capture_output=True, text=True, timeout=300
    )
    named = set(re.findall(r"(\w+\.py):\d+.*error", done.stdout))
    assert (done.returncode, bool(named)) == (1, True), done.stdout + done.stderr
    (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    return named


def test_the_manual_has_examples():
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(
    "checker",
    [["mypy", "--cache-dir", str(REPOSITORY / ".cache" / "mypy"), "."], ["pyright", "--pythonpath", sys.executable]],
    ids=["mypy", "pyright"],
)
def test_every_example_is_accepted_and_a_mistake_is_not(folder: Path, checker: list[str]):
    assert files_refused_by(folder, *checker) == {"mistake.py"}, (folder / "said.txt").read_text(encoding="utf-8")


def test_the_table_of_outcomes_names_every_error_of_the_api():
    from positions_mcp.domain import errors

    kinds = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.UpstreamError)
    ]
    assert all(f"`{kind.__name__}`" in MANUAL for kind in kinds if kind is not errors.UpstreamError)

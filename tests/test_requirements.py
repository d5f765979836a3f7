"""The ledger of promises and the tests that keep them agree in both directions."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

TESTS = Path(__file__).parent
LEDGER = TESTS / "requirements.toml"


def promises() -> dict[str, str]:
    return tomllib.loads(LEDGER.read_text(encoding="utf-8"))["promises"]


def named_by_tests() -> dict[str, set[str]]:
    """Requirement ids in `@pytest.mark.requirement(...)`, each with the tests that carry it."""
    named: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "requirement":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{path.name}: a requirement id is a literal"
                    named.setdefault(argument.value, set()).add(path.name)
    return named


def test_every_promise_is_kept_by_a_test() -> None:
    assert set(promises()) - set(named_by_tests()) == set()


def test_no_test_names_a_promise_that_was_not_made() -> None:
    assert set(named_by_tests()) - set(promises()) == set()

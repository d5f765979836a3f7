"""The checker itself: a history that keeps every promise passes, and each way of breaking one is found."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replicas import checker

KO, XOM = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
History = dict[str, Any]


def row(state: str, *orders: str) -> dict[str, Any]:
    return {"position": 0, "state": state, "orders": [{"order_id": order} for order in orders]}


def history() -> History:
    """Two closes under way of two callers: one is known to have happened, of the other the answer was lost."""
    events = [
        ("plan made", "op-a", {}),
        ("approved", "op-a", {}),
        ("plan made", "op-b", {}),
        ("approved", "op-b", {}),
        ("sending", "op-a", {"rows": [row("SENDING")]}),
        ("sending", "op-b", {"rows": [row("SENDING")]}),
        ("outcome", "op-a", {"rows": [row("SUBMITTED", "order-a")]}),
        ("outcome", "op-b", {"rows": [row("UNKNOWN")]}),
    ]
    journal = [
        {
            "sequence": number,
            "event": event,
            "operation_id": operation,
            "content": json.dumps(content),
            "previous": f"hash {number - 1}",
            "hash": f"hash {number}",
        }
        for number, (event, operation, content) in enumerate(events, 1)
    ]
    plans = [("op-a", KO), ("op-b", XOM)]
    return {
        "journal": journal,
        "operations": [
            {"id": name, "plan": json.dumps({"account_id": 1, "targets": [{"instrument_id": instrument}]})}
            for name, instrument in plans
        ],
        "exchange": {
            "effects": [
                {"number": 1, "operation": "close_position", "account": 1, "made": ["order-a"]},
                {"number": 2, "operation": "close_position", "account": 1, "made": ["order-b"]},
            ],
            "orders": [{"id": "order-a", "instrument_id": KO}, {"id": "order-b", "instrument_id": XOM}],
        },
        "wire": [
            {"at": 1.0, "path": f"/v1/accounts/1/positions/{KO}"},
            {"at": 2.0, "path": f"/v1/accounts/1/positions/{XOM}"},
        ],
        "clients": [
            {"number": 0, "account": 1, "instrument": KO, "began": 0.5, "ended": 1.5, "sent": "yes", "told": "1 sent"},
            {"number": 1, "account": 1, "instrument": XOM, "began": 0.5, "ended": 2.5, "error": "the server is gone"},
        ],
        "decisions": [
            {"operation_id": name, "approved": True, "how": "form", "call": number}
            for number, (name, _) in enumerate(plans)
        ],
        "verified": {"intact": True, "problem": ""},
    }


def test_a_history_that_keeps_every_promise_passes() -> None:
    assert checker.broken(history()) == []
    assert checker.counts(history()) == {
        "calls": 2,
        "approvals": 2,
        "intents": 2,
        "requests": 2,
        "effects": 2,
        "unknown": 1,
        "entries": 8,
    }


def test_a_call_may_say_that_it_sent_nothing_where_another_server_sent_what_the_desk_approved() -> None:
    told = history()
    told["clients"][1].update(told="The store is gone. Nothing was sent by this call.")
    told["decisions"][1].update(how="desk", call=None)
    assert checker.broken(told) == []


def test_a_call_may_say_that_nothing_of_its_plan_was_sent_where_another_callers_plan_of_the_same_was() -> None:
    told = history()
    told["operations"].append(told["operations"][1] | {"id": "op-c"})
    told["clients"][1].update(operation_id="op-c", state="STALE", sent="no", told="nothing was sent: it changed")
    assert checker.broken(told) == []


def test_a_call_may_say_that_its_request_was_sent_where_that_left_and_was_lost_on_the_way() -> None:
    told = history()
    told["clients"][1].update(told="The request was sent and its outcome is not known: no answer.")
    told["arrived"] = [told["wire"][0], told["wire"].pop()]
    told["exchange"]["effects"].pop()
    assert checker.broken(told) == []


def test_a_request_that_nobody_meant_and_that_did_nothing_is_not_called_a_close() -> None:
    told = history()
    told["wire"].append({"at": 3.0, "path": "/v1/accounts/1/positions/other"})
    assert checker.broken(told) == ["1 other: 1 requests passed, and 0 were journalled"]


def _says(entry: int, *rows: dict[str, Any]) -> Callable[[History], object]:
    return lambda told: told["journal"][entry].update(content=json.dumps({"rows": rows}))


def _another_effect(order: str, instrument: str) -> Callable[[History], object]:
    def happen(told: History) -> None:
        told["exchange"]["orders"].append({"id": order, "instrument_id": instrument})
        told["exchange"]["effects"].append({"number": 3, "operation": "close_position", "account": 1, "made": [order]})

    return happen


def _happens_again(event: int) -> Callable[[History], object]:
    def happen(told: History) -> None:
        entry = copy.deepcopy(told["journal"][event])
        number = len(told["journal"]) + 1
        told["journal"].append(entry | {"sequence": number, "previous": f"hash {number - 1}", "hash": f"hash {number}"})

    return happen


def _forgotten(event: str, operation: str) -> Callable[[History], object]:
    def forget(told: History) -> None:
        for entry in told["journal"]:
            if entry["event"] == event and entry["operation_id"] == operation:
                entry.update(event="noted", content="{}")

    return forget


def _closes_all(told: History) -> None:
    plan = json.loads(told["operations"][0]["plan"]) | {"kind": "close_all_positions"}
    told["operations"][0]["plan"] = json.dumps(plan)
    told["by_two"] = True


def _goes_by_a_mandate(told: History) -> None:
    told["mandates"] = [{"mandate": "ma-1", "account": 1, "operations": 1}]
    for entry in told["journal"]:
        if entry["event"] == "approved":
            entry["content"] = json.dumps({"mandate": "ma-1"})


def _halted(at: int, **scope: Any) -> Callable[[History], object]:
    """A halt instead of an entry that decides nothing."""

    def halt(told: History) -> None:
        told["journal"][at].update(event="halted", operation_id=None, content=json.dumps({"reason": "fire", **scope}))

    return halt


def _acts(actor: str, **said: Any) -> Callable[[History], object]:
    return lambda told: told.update(acts=[{"actor": actor, "operation": "op-b", "done": True, **said}])


BROKEN: dict[str, tuple[Callable[[History], object], str]] = {
    "an effect twice": (_another_effect("order-c", KO), "2 effects, and at most 1"),
    "an effect that nobody meant": (_another_effect("order-c", "other"), "without an intent in the journal"),
    "an effect of the whole account": (
        lambda told: told["exchange"]["effects"][0].update(operation="close_positions"),
        "1 * was closed without an intent",
    ),
    "an effect of another kind": (
        lambda told: told["exchange"]["effects"][0].update(operation="cancel_order"),
        "that nobody asked for",
    ),
    "an account closed by one person where it takes two": (_closes_all, "one person alone said so"),
    "a mandate used more often than it says": (_goes_by_a_mandate, "2 operations went by mandate ma-1, which allows 1"),
    "a request that was not journalled": (
        lambda told: told["wire"].append(dict(told["wire"][0])),
        "2 requests passed, and 1 were journalled",
    ),
    "a request again under one approval": (_happens_again(5), "may have left 2 times under one approval"),
    "an approval twice": (_happens_again(1), "was approved 2 times"),
    "sent without an approval": (_forgotten("approved", "op-a"), "op-a was sent before it was approved"),
    "approved by nobody": (
        lambda told: told["decisions"].pop(0),
        "op-a is approved in the journal, and no person said so",
    ),
    "declined by a person": (
        lambda told: told["decisions"][1].update(approved=False),
        "op-b is approved in the journal, and no person said so",
    ),
    "an intent without an end": (_forgotten("outcome", "op-b"), "is still SENDING"),
    "an intent lost": (_forgotten("sending", "op-b"), "was closed without an intent in the journal"),
    "called unsent, and closed": (_says(7, row("NOT_SENT")), "effects that the journal does not know of"),
    "called rejected, and closed": (_says(6, row("REJECTED", "order-a")), "says REJECTED, and it was closed"),
    "called sent, and not closed": (
        lambda told: told["exchange"]["effects"].pop(0),
        "says SUBMITTED, and it was not closed",
    ),
    "told that nothing was sent": (
        lambda told: told["clients"][1].update(told="It failed. Nothing was sent."),
        "was told that nothing was sent, and it was",
    ),
    "told that nothing of a plan was sent": (
        lambda told: told["clients"][1].update(operation_id="op-b", told="nothing was sent: it changed"),
        "was told that nothing was sent, and it was",
    ),
    "told that a call whose form was answered with a yes sent nothing": (
        lambda told: told["clients"][1].update(told="It failed. Nothing was sent by this call."),
        "call 1 was told that it sent nothing, and what was approved in it was sent",
    ),
    "told that it was sent": (
        lambda told: told["wire"].pop(0),
        "was told that it was sent, and it was not",
    ),
    "told that a request was sent where only a read was": (
        lambda told: (
            told["wire"].pop(),
            told["exchange"]["effects"].pop(),
            told["clients"][1].update(told="The account could not be read. The request was sent."),
        ),
        "was told that a request was sent, and none had left",
    ),
    "told that a request was sent before it was": (
        lambda told: (
            told.update(arrived=[each | {"at": 9.0} for each in told["wire"]]),
            told["clients"][1].update(told="The request was sent."),
        ),
        "call 1 about 1 11111111-0000-0000-0000-000000000002 was told that a request was sent, and none had left",
    ),
    "an entry removed": (lambda told: told["journal"].pop(2), "entry 4 does not follow the one before it"),
    "the end cut off and written anew": (
        lambda told: told["journal"][7].update(previous="hash 6"),
        "entry 8 does not follow the one before it",
    ),
    "sent under a halt of everything": (_halted(2), "entry 5 sends op-a under a halt: fire"),
    "sent under a halt of its account": (_halted(2, account_id=1), "entry 6 sends op-b under a halt: fire"),
    "a no that was taken and did not stop it": (_acts("no"), "a no to op-b was taken, and it was sent"),
    "a yes that was taken and is lost": (
        lambda told: (_acts("yes")(told), _forgotten("approved", "op-b")(told)),
        "yes to op-b was taken, and the journal does not know of it",
    ),
    "approved by a yes that was refused": (
        lambda told: (_acts("yes", done=False, refused=True)(told), told["decisions"][1].update(how="desk")),
        "every yes to op-b was refused, and it is approved",
    ),
    "told that it is halted": (_acts("halt"), "halt was told that it is halted, and it is not"),
    "a journal that does not verify": (
        lambda told: told["verified"].update(intact=False, problem="entry 3"),
        "does not verify: entry 3",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_of_breaking_a_promise_is_found(name: str) -> None:
    breaking, words = BROKEN[name]
    told = history()
    breaking(told)
    assert words in "\n".join(checker.broken(told))


@pytest.mark.parametrize(
    "meanwhile", [_halted(2, account_id=2), _halted(2, caller="somebody else"), _halted(2, kind="exercise")]
)
def test_a_halt_of_something_else_is_not_overtaken(meanwhile: Callable[[History], object]) -> None:
    told = history()
    meanwhile(told)
    assert checker.broken(told) == []


def test_a_halt_that_was_ended_is_not_overtaken() -> None:
    told = history()
    _halted(0)(told)
    told["journal"][2].update(event="resumed", operation_id=None, content="{}")
    assert checker.broken(told) == []


def test_it_imports_nothing_of_the_program_and_judges_a_file_alone(tmp_path: Path) -> None:
    tree = ast.parse(Path(checker.__file__).read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    told = history()
    for expected in (0, 1):
        (tmp_path / "history.json").write_text(json.dumps(told), encoding="utf-8")
        run = subprocess.run([sys.executable, "-I", checker.__file__, str(tmp_path / "history.json")], check=False)
        assert run.returncode == expected
        told["wire"].append(told["wire"][0])

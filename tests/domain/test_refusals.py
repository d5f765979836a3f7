"""The reason of a refusal is found in whatever field and shape it comes in."""

from __future__ import annotations

from typing import Any

import pytest

from api.loopback import ACCOUNT, CALL, INSTRUCTION, instruction, order
from positions_mcp.api._wire import read_record
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.batch.verdicts import refusal_of_batch, refusal_of_row
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.records import Problem

ORDERS: dict[str, tuple[dict[str, Any], list[str] | None]] = {
    "a list": ({"details": ["market closed", "try later"]}, ["market closed", "try later"]),
    "plain text": ({"details": "market closed"}, ["market closed"]),
    "an object": ({"details": {"code": "MKT_CLOSED", "message": "market closed"}}, ["MKT_CLOSED", "market closed"]),
    "objects": ({"details": [{"reason": "no borrow"}, {"reason": "no locate"}]}, ["no borrow", "no locate"]),
    "a number": ({"details": 1013}, ["1013"]),
    "another field": ({"details": None, "text": "Symbol is not shortable"}, ["Symbol is not shortable"]),
    "its usual name": ({"reject_reason": "Symbol is not shortable"}, ["Symbol is not shortable"]),
    "in camel case": ({"rejectReason": "Symbol is not shortable"}, ["Symbol is not shortable"]),
    "an object elsewhere": ({"rejection": {"reason": "HALTED", "description": "halted"}}, ["HALTED", "halted"]),
    "a list elsewhere": ({"errors": [{"message": "halted"}, "again"]}, ["halted", "again"]),
    "both": ({"details": ["order rejected"], "text": "halted"}, ["order rejected", "halted"]),
    "the same in both": ({"details": "halted", "text": "halted"}, ["halted"]),
    "a name nobody thought of": ({"ord_status_info": "halted by exchange"}, ["halted by exchange"]),
    "nothing": ({"details": None}, None),
    "empty": ({"details": "", "text": "  "}, None),
    "no reasons": ({"parent_id": CALL, "seen_at": "2026-11-20T15:00:00Z", "rank": 3, "is_late": True}, None),
}


@pytest.mark.parametrize(("fields", "details"), ORDERS.values(), ids=ORDERS.keys())
def test_a_rejected_order_says_why(fields: dict[str, Any], details: list[str] | None):
    rejected = read_record(Order, order(status="REJECTED", **fields))
    assert isinstance(rejected, Order)
    assert rejected.details == details


def test_what_else_an_order_says_is_a_reason_only_where_it_was_rejected():
    filled = read_record(Order, order(status="FILLED", text="thank you", details="filled at once"))
    assert isinstance(filled, Order)
    assert filled.details == ["filled at once"]
    assert filled.model_extra == {"text": "thank you"}


def test_what_is_known_of_an_order_is_no_reason():
    fields = {"underlying_instrument_type": "INDEX", "strategy": {"type": "VWAP"}, "venue": "XNAS"}
    rejected = read_record(Order, order(status="REJECTED", **fields))
    assert isinstance(rejected, Order)
    assert rejected.details is None


INSTRUCTIONS: dict[str, tuple[dict[str, Any], str | None]] = {
    "text": ({"rejection_reason": "past cutoff"}, "past cutoff"),
    "a list": ({"rejection_reason": ["past cutoff", "17:30"]}, "past cutoff; 17:30"),
    "another field": ({"reject_text": "past cutoff"}, "past cutoff"),
    "the object's field as text": ({"rejection": "past cutoff"}, "past cutoff"),
    "the object's field as a list": ({"rejection": [{"description": "past cutoff"}]}, "past cutoff"),
    "the object": ({"rejection": {"reason": "EXERCISE_PAST_CUTOFF", "description": "past cutoff"}}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("fields", "reason"), INSTRUCTIONS.values(), ids=INSTRUCTIONS.keys())
@pytest.mark.parametrize("status", ["REJECTED", "ENGINE_REJECTED"])
def test_a_rejected_instruction_says_why(fields: dict[str, Any], reason: str | None, status: str):
    rejected = read_record(Instruction, instruction(status=status, **fields))
    assert isinstance(rejected, Instruction)
    assert rejected.rejection_reason == reason
    assert (rejected.id, rejected.account_id) == (INSTRUCTION, ACCOUNT)
    if isinstance(fields.get("rejection"), dict):
        assert rejected.rejection is not None
        assert rejected.rejection.reason == "EXERCISE_PAST_CUTOFF"


WHY = "Past the cutoff"
SHAPES: dict[str, Any] = {
    "text": WHY,
    "a list": [WHY, "17:30"],
    "an object": {"code": 1013, "message": WHY},
    "an object in another's words": {"title": WHY},
    "objects": [{"reason": {"text": WHY}}],
    "deep": {"errors": [{"cause": {"details": [WHY]}}]},
}
NAMES = [
    *("rejectReason", "reason", "reject_reason", "rejection", "error", "errors"),
    *("message", "msg", "details", "text", "info"),
]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("name", [*NAMES, "rejection_reason"])
def test_whatever_name_and_shape_a_reason_has_it_is_kept(name: str, shape: object):
    refused = read_record(Order, order(status="REJECTED", **{name: shape}))
    assert isinstance(refused, Order)
    assert WHY in (refused.details or [])
    row = read_record(Instruction, instruction(status="REJECTED", **{name: shape}))
    assert isinstance(row, Instruction)
    assert WHY in row.words_of_refusal
    assert WHY in refusal_of_row(row, 1, 207).said


@pytest.mark.parametrize("name", ["reason", "code", "reject_code", "details"])
def test_a_reason_that_is_only_a_number_is_kept(name: str):
    refused = read_record(Order, order(status="REJECTED", **{name: 1013}))
    assert isinstance(refused, Order)
    assert refused.details == ["1013"]


REJECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "another field of it": ({"message": WHY}, WHY),
    "a code and another field": ({"reason": "TOO_LATE", "message": WHY}, WHY),
    "a code alone": ({"reason": "TOO_LATE"}, "TOO_LATE"),
    "a number for a code": ({"code": 1013, "text": WHY}, f"1013; {WHY}"),
    "a list for the description": ({"reason": "TOO_LATE", "description": [WHY]}, WHY),
    "an object for the reason": ({"reason": {"code": "TOO_LATE", "text": WHY}}, f"TOO_LATE; {WHY}"),
    "what belongs to no code": ({"metadata": {"note": WHY}}, WHY),
    "both and more": ({"description": WHY, "hint": "ask the desk"}, f"{WHY}; ask the desk"),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize(("rejection", "words"), REJECTIONS.values(), ids=REJECTIONS.keys())
@pytest.mark.parametrize("status", ["REJECTED", "ENGINE_REJECTED", "CANCEL_FAILED"])
def test_a_rejection_object_of_any_form_says_why(rejection: dict[str, Any], words: str, status: str):
    row = read_record(Instruction, instruction(status=status, rejection=rejection))
    assert isinstance(row, Instruction)
    assert row.words_of_refusal == words


def test_the_words_of_both_contracts_are_said_once():
    both = {"rejection_reason": WHY, "rejection": {"reason": "EXERCISE_PAST_CUTOFF", "description": WHY}}
    row = read_record(Instruction, instruction(status="REJECTED", **both))
    assert isinstance(row, Instruction)
    assert row.words_of_refusal == WHY
    assert refusal_of_row(row, 1, 207).reason_code == "EXERCISE_PAST_CUTOFF"


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "a message": ({"message": WHY}, WHY),
    "details beside it": ({"message": "Refused", "details": [{"field": "quantity", "reason": WHY}]}, WHY),
    "details as text": ({"message": "Refused", "details": WHY}, WHY),
    "another field": ({"code": 422, "reason": WHY}, WHY),
    "an object": ({"code": 422, "message": {"text": WHY}}, WHY),
}


@pytest.mark.parametrize(("error", "words"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_an_error_object_of_any_form_says_why(error: dict[str, Any], words: str):
    problem = read_record(Problem, error)
    assert isinstance(problem, Problem)
    assert words in problem.reasons
    assert words in refusal_of_batch(422, problem, "").said

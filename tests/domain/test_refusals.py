"""The reason of a refusal is found in whatever field and shape it comes in."""

from __future__ import annotations

from typing import Any

import pytest

from api.loopback import ACCOUNT, CALL, INSTRUCTION, instruction, order
from positions_mcp.api._wire import read_record
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.exercise.instructions import Instruction

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

"""Records grow: what an earlier release stored stays what it was, and a later field is stored where it is set."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import Column, MetaData, Table, Text

from positions_mcp.domain.operation.growth import added
from positions_mcp.domain.operation.operation import Decision, Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan
from positions_mcp.domain.operation.supervision import Approver, Halt, JournalEntry
from positions_mcp.signing.release_1 import Approval, Endorsement
from positions_mcp.store.schema import operations
from store.shape import STORED, Shape
from store.steps import ACCOUNT, NOW, plan_of, yes_to

RELEASES = sorted(path for path in Path(__file__).with_name("releases").iterdir() if (path / "shape.json").exists())

OPERATION = Operation.planned(plan_of())
KEY = "a" * 64
RECORDS: list[Frozen] = [
    OPERATION,
    OPERATION.plan,
    OPERATION.plan.targets[0],
    OPERATION.rows[0],
    yes_to(OPERATION),
    SentOrder(order_id="f1f2f3f4-b1b2-c1c2-d1d2-000000000001", status="FILLED"),
    Halt(reason="news", by="Ana", at=NOW),
    Approver(public_key=KEY, salt="0" * 32, scrypt_n=16, scrypt_r=8, scrypt_p=1, created_at=NOW),
    JournalEntry(
        sequence=1, at=NOW, event="halted", operation_id=None, content={}, state_digest=None, previous="0", hash=""
    ),
    Endorsement(public_key=KEY),
    Approval(mode=Mode.PAPER, account=ACCOUNT, operation="op-1", digest=KEY, expires_at="2026-11-20"),
]


def grown(record: type[Frozen]) -> type[Frozen]:
    """The record as a later release might have it, with a field more."""

    class Grown(record):
        remark: str = added("99.0.0", default="")
        dollars: Decimal | None = added("99.0.0", default=None)

    return Grown


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_field_that_came_later_changes_nothing_of_what_was_stored_before(record: Frozen) -> None:
    later = grown(type(record)).model_validate_json(record.canonical)
    assert later.canonical == record.canonical
    assert later.remark == ""


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_where_it_is_set_it_is_stored_read_back_and_covered(record: Frozen) -> None:
    later = grown(type(record)).model_validate_json(record.canonical).changed(remark="a word", dollars=Decimal("1.50"))
    assert json.loads(later.canonical) == {**json.loads(record.canonical), "remark": "a word", "dollars": "1.50"}
    assert type(later).model_validate_json(later.canonical) == later
    with pytest.raises(ValidationError):  # an earlier release does not pass over what it does not know
        type(record).model_validate_json(later.canonical)


@pytest.mark.requirement("R-01")
def test_the_digest_that_was_approved_and_the_hash_of_an_entry_stay_what_they_were() -> None:
    plan = OPERATION.plan
    later = grown(Plan).model_validate_json(plan.canonical)
    assert isinstance(later, Plan)
    assert later.digest == plan.digest
    assert later.changed(remark="a word").digest != plan.digest
    entry = next(record for record in RECORDS if isinstance(record, JournalEntry))
    grown_entry = grown(JournalEntry).model_validate_json(entry.canonical)
    assert isinstance(grown_entry, JournalEntry)
    assert grown_entry.expected_hash() == entry.expected_hash()


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_nothing_that_a_release_stored_was_renamed_and_what_came_later_says_so(release: Path) -> None:
    earlier = Shape(**json.loads((release / "shape.json").read_text(encoding="utf-8")))
    assert Shape.of().complaints(earlier, release.name) == []


class Careless(Row):
    note: str = ""


class Careful(Row):
    note: str = added("0.2.0", default="")


class ChangedItsMind(Row):
    note: str = added("0.2.0", default="none")


def test_a_new_field_without_the_marker_is_found_and_one_with_it_is_not() -> None:
    before = Shape.of({"row": Row})
    assert Shape.of({"row": Careless}).complaints(before, "0.1.0") == [
        "row.note came after 0.1.0: declare it as domain/operation/growth.py says"
    ]
    assert Shape.of({"row": Careful}).complaints(before, "0.1.0") == []


def test_a_marker_with_the_version_of_a_release_that_had_no_such_field_is_found() -> None:
    assert Shape.of({"row": Careful}).complaints(Shape.of({"row": Row}), "0.2.0")


def test_a_default_that_changes_a_name_that_goes_and_a_value_that_goes_are_found() -> None:
    careful = Shape.of({"row": Careful})
    assert "never changes" in Shape.of({"row": ChangedItsMind}).complaints(careful, "0.2.0")[0]
    assert "is gone" in Shape.of({"row": Row}).complaints(careful, "0.2.0")[0]
    fewer = Shape.of()
    fewer.values["operation.plan.kind"].remove("close_positions")
    assert fewer.complaints(Shape.of(), "0.1.0") == ["operation.plan.kind can no longer be close_positions"]


def test_a_column_that_came_later_says_so_too() -> None:
    def with_note(**marker: str) -> Table:
        columns = [Column(column.name, column.type) for column in operations.columns]
        return Table("operations", MetaData(), *columns, Column("note", Text, info=marker))

    marked, bare = with_note(added="0.2.0"), with_note()
    assert Shape.of(STORED, marked).complaints(Shape.of(), "0.1.0") == []
    assert "table operations.note came after" in Shape.of(STORED, bare).complaints(Shape.of(), "0.1.0")[0]


def test_a_record_of_a_new_kind_may_stand_beside_the_others() -> None:
    shape = Shape.of()
    shape.values.update({"newcomer.count": [], "operation.plan.targets[transfer].symbol": []})
    assert shape.complaints(Shape.of(), "0.1.0") == []


def test_what_a_person_decided_is_stored_as_it_was() -> None:
    assert Decision.model_validate_json(yes_to(OPERATION).canonical) == yes_to(OPERATION)

"""How mandates stand in the tables, and whether that is what the journal says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Integer, Row, select

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.money import ZERO, exact_sum
from positions_mcp.domain.operation.mandate import Mandate, MandateUse, Standing
from positions_mcp.domain.text import quoted
from positions_mcp.store import journal, records
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.schema import as_text, mandate_uses, mandates, operations, rows
from positions_mcp.store.stored import Stored
from positions_mcp.store.tallies import Tallies, next_digest

_NEWEST = (
    select(mandates.c.content).order_by(mandates.c.drafted_at.desc(), mandates.c.id).limit(given("most", Integer()))
)
_ALL, _ENDING = Compiled(_NEWEST), Compiled(_NEWEST.where(mandates.c.ends > given("after")))


def checked(connection: Connection, tallies: Tallies, mandate_id: str, *, seen: Collection[str] = ()) -> Standing:
    """A mandate and its uses, which are as the journal says, to the last of them; of `seen` operations that is known.

    Raises InvalidInput where there is none of that id, StoreUnavailable where it, or a use of it, was altered outside
    of the program.
    """
    found = known(connection, mandate_id)
    check(found, tallies)
    _check_operations(connection, [use.operation_id for use in found.uses if use.operation_id not in seen])
    return found


def check(found: Standing, tallies: Tallies) -> None:
    """Raise StoreUnavailable unless a mandate and its uses are as the journal says."""
    mandate_id = found.mandate.mandate_id
    tally, digest = tallies.of(mandate_id), ""
    for use in found.uses:
        digest = next_digest(digest, use.model_dump(mode="json"))
    if tally is None or tally.is_broken or tally.mandate != found.mandate:
        raise journal.broken(f"mandate {mandate_id} is not as it was written")
    if (len(found.uses), digest) != (tally.uses, tally.digest):
        raise journal.broken(f"the uses of mandate {mandate_id} are not as they were written")


def compare(connection: Connection, tallies: Tallies) -> None:
    """All mandates and uses against the journal, for who verifies. Raises StoreUnavailable."""
    stored = frozenset(connection.execute(select(mandates.c.id)).scalars())
    if differing := sorted(stored ^ tallies.ids):
        raise journal.broken(f"journal and mandates disagree about {differing[0]}")
    if stray := sorted(set(connection.execute(select(mandate_uses.c.mandate_id)).scalars()) - stored):
        raise journal.broken(f"mandate_uses holds {stray[0]}, of which the journal knows nothing")
    for mandate_id in sorted(stored):
        check(known(connection, mandate_id), tallies)


def known(connection: Connection, mandate_id: str) -> Standing:
    """A mandate and its uses as they stand in the tables. Raises InvalidInput where there is none of that id."""
    wanted = select(mandates.c.content).where(mandates.c.id == mandate_id)
    content = connection.execute(wanted).scalar_one_or_none()
    if content is None:
        raise InvalidInput(f"There is no mandate {quoted(mandate_id, 40)}.", hint="Run: `positions-mcp mandate list`.")
    return next(_with_uses(connection, [_read(content)]))


def select_all(connection: Connection, *, ending_after: datetime | None = None, limit: int) -> tuple[Standing, ...]:
    """Mandates and drafts as they stand in the tables, newest first; only those that may still matter then."""
    if ending_after is None:
        rows_ = _ALL.all(connection, most=limit)
    else:
        rows_ = _ENDING.all(connection, after=as_text(ending_after), most=limit)
    found = [_read(content) for (content,) in rows_]
    return tuple(_with_uses(connection, found))


def _read(content: str) -> Mandate:
    try:
        return Mandate.model_validate_json(content)
    except ValidationError as error:
        raise journal.broken("a mandate cannot be read") from error


def _read_use(row: Row[Any]) -> MandateUse:
    try:
        use = MandateUse.model_validate_json(row.content)
    except ValidationError as error:
        raise journal.broken("a use of a mandate cannot be read") from error
    if (use.mandate_id, use.number, use.operation_id) != (row.mandate_id, row.number, row.operation_id):
        raise journal.broken(f"the uses of mandate {row.mandate_id} are not as they were written")
    return use


def _with_uses(connection: Connection, found: Sequence[Mandate]) -> Iterator[Standing]:
    ids = [each.mandate_id for each in found]
    if not ids:
        return
    uses: dict[str, list[MandateUse]] = defaultdict(list)
    reserved: dict[str, list[Decimal]] = defaultdict(list)
    by_number = select(mandate_uses).where(mandate_uses.c.mandate_id.in_(ids)).order_by(mandate_uses.c.number)
    for row in connection.execute(by_number):
        uses[row.mandate_id].append(_read_use(row))
    sent = select(rows.c.operation_id, rows.c.reserved).join(
        mandate_uses, mandate_uses.c.operation_id == rows.c.operation_id
    )
    for row in connection.execute(sent.where(mandate_uses.c.mandate_id.in_(ids))):
        reserved[row.operation_id].append(Decimal(row.reserved))
    for mandate in found:
        of_it = uses[mandate.mandate_id]
        over = {use.operation_id: exact_sum(reserved[use.operation_id]) - use.measure for use in of_it}
        yield Standing(mandate, tuple(of_it), {key: more for key, more in over.items() if more > ZERO})


def expect_as_noted(connection: Connection, found: Stored, *, walked_from: int = 0) -> None:
    """Raise StoreUnavailable unless an operation is as the last entry about it says.

    The entry is looked at by itself where it is older than what this process has walked.
    """
    try:
        is_so = found.noted == found.digest
    except (ValueError, TypeError, KeyError) as error:
        raise journal.broken(f"operation {found.operation_id} cannot be read") from error
    if not is_so:
        raise journal.broken(f"operation {found.operation_id} is not as it was written")
    if found.noted_in <= walked_from:
        journal.expect_entry(connection, found.noted_in)


def _check_operations(connection: Connection, ids: Sequence[str]) -> None:
    """What was sent under it counts by what was reserved for it, so that has to be as it was written too."""
    found = (
        {each.operation_id: each for each in records.select_noted(connection, operations.c.id.in_(ids))} if ids else {}
    )
    for operation_id in ids:
        if operation_id not in found:
            raise journal.broken(f"operation {operation_id} is not as it was written")
        expect_as_noted(connection, found[operation_id])

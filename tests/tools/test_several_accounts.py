"""Without an account where several are configured, what only reads answers a line for each, and the sum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.errors import ReadFailed, Sent
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.records import Response
from tools.serving import StubBroker, call, data_of, error_of, held, server_over, text_of
from tools.test_list_instructions import row as instruction

BOTH = (19816, 20000)


@dataclass(slots=True)
class TwoAccounts(StubBroker):
    """Each account holds its own, and one of them may be out of reach."""

    books: dict[int, list[Position]] = field(default_factory=dict)
    refused: int = 0

    def _turn_to(self, account: int) -> None:
        self.positions = self.books.get(account, [])
        self.error = ReadFailed("No answer.", sent=Sent.YES) if account == self.refused else None

    async def read_book(self, account_id: AccountId, **given: Any) -> Any:
        self._turn_to(account_id)
        return await StubBroker.read_book(self, account_id, **given)

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        self._turn_to(account_id)
        return await StubBroker.get_position_instructions(self, account_id, instrument_id)


def two(refused: int = 0) -> TwoAccounts:
    books = {
        19816: [
            held("KO", "10", number=1, market_value="700", daily_unrealized_pnl="-5"),
            held("AAPL", "1", number=2, market_value="230"),
        ],
        20000: [held("KO", "-4", number=1, market_value="-280", daily_unrealized_pnl="2")],
    }
    return TwoAccounts(books=books, refused=refused)


async def test_a_listing_has_a_line_for_each_account_and_the_sum(era: str) -> None:
    answer = await call(server_over(two(), accounts=BOTH), "list_positions", era=era)
    data = data_of(answer)
    assert "account_id" not in data
    assert [row[:4] for row in data["rows"]] == [["19816", "2", "2", "930"], ["20000", "1", "1", "-280"]]
    assert (data["held"], data["matching"]) == (3, 3)
    assert (data["totals"]["net"], data["totals"]["day_pnl"]) == ("650", "-3")
    assert text_of(answer).startswith("PAPER all accounts, read 2026-11-20 10:30:00 New York")
    assert text_of(answer).endswith("Rows of one account: give account_id.")


async def test_what_one_of_them_holds_is_found_with_its_quantity(era: str) -> None:
    server = server_over(two(), accounts=BOTH)
    data = data_of(await call(server, "list_positions", {"instruments": ["KO"]}, era=era))
    assert [row[data["columns"].index("quantity")] for row in data["rows"]] == ["10", "-4"]
    only = data_of(await call(server, "list_positions", {"underlying": "AAPL"}, era=era))
    assert ([row[0] for row in only["rows"]], only["matching"]) == (["19816"], 1)
    assert "warnings" not in only
    assert "Nothing held is called ZZZ" in error_of(await call(server, "list_positions", {"instruments": ["ZZZ"]}))


async def test_what_may_be_among_rows_that_were_not_read_is_no_clear_no(era: str) -> None:
    aapl, ko = ("list_positions", {"instruments": ["AAPL"]}), ("list_positions", {"instruments": ["KO"]})
    broker = two()
    broker.unreadable = 2
    data = data_of(await call(server_over(broker, accounts=BOTH), *aapl, era=era))
    assert "account 20000: Nothing held is called AAPL. But 2 rows of the API could not be read" in str(
        data["warnings"]
    )
    broker = two(refused=20000)
    broker.books[19816] = []
    assert "No answer" in error_of(await call(server_over(broker, accounts=BOTH), *ko, era=era)), "not: nothing is held"


async def test_a_summary_has_a_line_for_each_account_and_the_sum(era: str) -> None:
    data = data_of(await call(server_over(two(), accounts=BOTH), "summarize_positions", era=era))
    assert data["group_columns"][:3] == ["account", "positions", "net"]
    assert [row[:3] for row in data["groups"]] == [["19816", "2", "930"], ["20000", "1", "-280"]]
    assert data["totals"]["net"] == "650"
    assert "expiring" not in data


async def test_instructions_are_counted_for_each_account(era: str) -> None:
    broker = two()
    broker.rows = [instruction(1), instruction(2, "ACCEPTED")]
    data = data_of(await call(server_over(broker, accounts=BOTH), "list_instructions", {"status": ["SENT"]}, era=era))
    assert data["rows"] == [["19816", "2", "1", "SENT 1"], ["20000", "2", "1", "SENT 1"]]
    assert (data["listed"], data["matching"], data["by_status"]) == (4, 2, {"SENT": 2})


@pytest.mark.parametrize("tool", ["list_positions", "summarize_positions", "list_instructions"])
async def test_an_account_that_cannot_be_read_is_named_and_not_in_the_sum(era: str, tool: str) -> None:
    answer = await call(server_over(two(refused=20000), accounts=BOTH), tool, era=era)
    (warning,) = data_of(answer)["warnings"]
    assert warning.startswith("account 20000 could not be read and is not in the sum: No answer")
    rows = data_of(answer).get("rows") or data_of(answer)["groups"]
    assert [row[0] for row in rows] == ["19816"]
    assert f"WARNING: {warning}." in text_of(answer)


async def test_where_no_account_can_be_read_it_is_an_error(era: str) -> None:
    server = server_over(StubBroker(error=ReadFailed("No answer.", sent=Sent.YES)), accounts=BOTH)
    assert "No answer" in error_of(await call(server, "list_positions", era=era))


@pytest.mark.parametrize("tool", ["list_positions", "summarize_positions"])
async def test_an_account_that_is_named_is_answered_alone(era: str, tool: str) -> None:
    data = data_of(await call(server_over(two(), accounts=BOTH), tool, {"account_id": 20000}, era=era))
    assert (data["account_id"], data["totals"]["net"]) == (20000, "-280")

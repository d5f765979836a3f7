"""The pages of a long listing are kept as text, and make the same positions whenever they are looked through."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from api.loopback import ACCOUNT, Received, Reply, Script, data, position, serving
from positions_mcp.api import _book
from positions_mcp.api._book import PackedPage
from positions_mcp.domain.account.positions import Holding, Whole

ROWS = [position(instrument_id=str(UUID(int=number + 1)), symbol=f"S{number}") for number in range(9)]


class Pages(Whole[Holding]):
    @property
    def kept(self) -> list[bool]:
        """Of each page whether its positions are kept as they are."""
        return [not isinstance(page, PackedPage) or page._held is not None for page in self._pages]


@pytest.mark.parametrize(
    ("many", "odd", "kept"), [(9, {}, [True] * 3), (8, {}, [False] * 3), (8, {"underlying_instrument_id": ""}, None)]
)
@pytest.mark.parametrize("total", [len(ROWS), None])
async def test_however_pages_are_kept_they_make_the_same_positions(
    many: int, odd: dict[str, object], kept: list[bool] | None, total: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_book, "_MANY", many)
    rows = [*ROWS[:4], ROWS[4] | odd, *ROWS[5:]]

    def page(request: Received) -> Reply:
        start = int(request.query.get("page_token", "0"))
        more = {"next_page_token": str(start + 3)} if start < 6 else {}
        return data(rows[start : start + 3], **({"total_items": total} if total else {}), **more)

    async with serving(Script(page)) as server, server.client() as client:
        brief, reading = await client.gather_positions(ACCOUNT, Pages)
        book = await client.read_book(ACCOUNT)
    assert reading.is_complete
    for _ in range(2):
        for name in Holding.FIELDS:
            assert [str(getattr(each, name)) for each in brief] == [str(getattr(each, name)) for each in book.positions]
    assert [brief[5].symbol, *(each.symbol for each in brief[2:4])] == ["S5", "S2", "S3"]
    expected = kept or [False, True, False]
    assert brief.kept == (expected if total or many == 9 else [True, True, expected[2]])


def test_a_page_that_is_put_away_takes_a_fraction_of_its_text() -> None:
    text = json.dumps(ROWS * 50).encode()
    page = PackedPage.read(memoryview(text))
    assert page is not None
    before = [each.symbol for each in page]
    page.put_away()
    assert [each.symbol for each in page] == before
    assert page[-1].symbol == before[-1]
    assert isinstance(page._rows, bytes)
    assert len(page._rows) < len(text) / 5

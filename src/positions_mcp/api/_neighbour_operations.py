"""What lies beside positions and orders, read only: an account or a deployment may refuse any of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from operator import attrgetter
from typing import TYPE_CHECKING

from positions_mcp.api import _failures
from positions_mcp.api._calls import Operations
from positions_mcp.api._listing import RowIdentity
from positions_mcp.api._requests import (
    account_path,
    checked,
    choice,
    get,
    instrument_word,
    joined,
    paging,
    plain_word,
    yes_or_no,
)
from positions_mcp.api._wire import RowReader
from positions_mcp.domain import ids
from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import ContractFacts, Dividend, InstrumentEvents, Snapshot
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import ContractType
from positions_mcp.domain.errors import InconsistentListing, InvalidInput
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.ids import instrument_id as as_instrument_id
from positions_mcp.domain.operation.records import Response

if TYPE_CHECKING:
    from positions_mcp import ports

MOST_LOOKED_UP = 100
"""Instruments that one request for contracts or for snapshots may name."""


_CONTRACTS = RowReader(ContractFacts)
_SNAPSHOTS = RowReader(Snapshot)
_CONTRACTS_PATH = "/v1/instruments/options/contracts"
_LONGEST_WAIT_S = 5.0
"""Seconds that a read which nothing depends on may take with all its attempts."""


class ContractsOfTheDay:
    """Facts of contracts that were read on the present New York day."""

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._day: date | None = None
        self._facts: dict[InstrumentId, ContractFacts] = {}

    def kept(self) -> dict[InstrumentId, ContractFacts]:
        """What is known today, to be added to."""
        today = new_york_day(self._clock.now())
        if today != self._day:
            self._day, self._facts = today, {}
        return self._facts


class NeighbourOperations(Operations):
    """Option contracts, market data, balances and events.

    Methods named after operations of the API return one answer as it is. Those called `read_…` look up what was
    asked for, in as many requests as it takes, and give each no more than 5 seconds.
    """

    _facts: ContractsOfTheDay

    async def get_option_contracts(
        self,
        *,
        contract_ids: Sequence[str] = (),
        underlying_instrument_id: str | None = None,
        root: str | None = None,
        contract_type: str | None = None,
        expiry: date | None = None,
        is_settle_on_open: bool | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout_s: float | None = None,
    ) -> Response[list[ContractFacts]]:
        """One page of option contracts: GET `/v1/instruments/options/contracts`.

        Either at most 100 `contract_ids` (UUIDs or OSI symbols), or those of an underlying or of an OSI root.
        """
        if bool(contract_ids) == (underlying_instrument_id is not None or root is not None):
            raise InvalidInput("Contracts are looked up by contract_ids, or by underlying_instrument_id or root.")
        at_open = None if is_settle_on_open is None else yes_or_no(is_settle_on_open, "is_settle_on_open")
        query = {
            "contract_ids": _named(contract_ids, "contract_ids"),
            "underlying_instrument_id": _one(underlying_instrument_id),
            "root": _one(root),
            "contract_type": choice(ContractType, contract_type, "contract_type"),
            "expiry": _day(expiry, "expiry"),
            "is_settle_on_open": None if at_open is None else str(at_open).lower(),
            **paging(page_size, page_token),
        }
        request = get(_CONTRACTS_PATH, query)
        return await self._calls.read_rows(request, _CONTRACTS, timeout_s=timeout_s)

    async def read_option_contracts(self, ids: Sequence[str]) -> dict[InstrumentId, ContractFacts]:
        """The facts of these contracts, by id; what the API does not know is missing.

        What was read once is kept for the rest of the New York day.
        """
        wanted, kept = checked(as_instrument_id, ids, "ids"), self._facts.kept()
        for some in _batches([each for each in wanted if each not in kept]):
            kept |= {facts.id: facts for facts in await self._contracts_of(some)}
        return {each: kept[each] for each in wanted if each in kept}

    async def _contracts_of(self, ids: Sequence[str]) -> list[ContractFacts]:
        found: list[ContractFacts] = []
        first, by_id = get(_CONTRACTS_PATH, {"contract_ids": _named(ids, "contract_ids")}), attrgetter("id")
        pages = self._pages(first, _CONTRACTS, RowIdentity(by_id, by_id), _LONGEST_WAIT_S)
        with suppress(InconsistentListing):  # each contract is looked up by its id: how many there are means nothing
            async for page in pages:
                found += page.data
        return found

    async def get_snapshots(
        self,
        *,
        instrument_ids: Sequence[str] = (),
        underlying_instrument_id: str | None = None,
        expiry: date | None = None,
        timeout_s: float | None = None,
    ) -> Response[list[Snapshot]]:
        """Snapshots of the market: GET `/v1/market-data/snapshot`.

        Either 1 to 100 `instrument_ids` (UUIDs or symbols), or the options of an underlying that expire on a day.
        """
        is_chain = underlying_instrument_id is not None and expiry is not None
        if is_chain == bool(instrument_ids) or (underlying_instrument_id is None) != (expiry is None):
            raise InvalidInput(
                "Snapshots are read by instrument_ids, or by underlying_instrument_id and expiry together."
            )
        query = {
            "instrument_ids": _named(instrument_ids, "instrument_ids"),
            "underlying_instrument_id": _one(underlying_instrument_id),
            "expiry": _day(expiry, "expiry"),
        }
        request = get("/v1/market-data/snapshot", query)
        return await self._calls.read_rows(request, _SNAPSHOTS, timeout_s=timeout_s)

    async def read_snapshots(self, ids: Sequence[str]) -> dict[InstrumentId, Snapshot]:
        """A snapshot of each of these instruments, by id; what has none is missing."""
        wanted, found = checked(as_instrument_id, ids, "ids"), dict[InstrumentId, Snapshot]()
        for some in _batches(wanted):
            answer = await self.get_snapshots(instrument_ids=some, timeout_s=_LONGEST_WAIT_S)
            found |= {snapshot.instrument_id: snapshot for snapshot in answer.data}
        return {each: found[each] for each in wanted if each in found}

    async def get_account_balances(
        self,
        account_id: int,
        *,
        top_margin_contributors_limit: int | None = None,
        timeout_s: float | None = None,
    ) -> Response[Balances]:
        """The account's balances: GET `/v1/accounts/{account_id}/balances`."""
        limit = top_margin_contributors_limit
        if limit is not None and not (type(limit) is int and limit >= 0):
            raise InvalidInput(f"top_margin_contributors_limit is {limit!r:.20}.", hint="It is a whole number.")
        query = {"top_margin_contributors_limit": None if limit is None else str(limit)}
        request = get(f"{account_path(account_id)}/balances", query)
        answer = await self._calls.read_one(request, Balances, timeout_s=timeout_s)
        if answer.data.account_id != account_id:
            raise _failures.another("account", answer.metadata.request_id)
        return answer

    async def read_balances(self, account_id: int) -> Balances:
        """The account's balances alone."""
        return (await self.get_account_balances(account_id, timeout_s=_LONGEST_WAIT_S)).data

    async def get_instrument_events(
        self,
        instrument_id: str,
        *,
        event_types: Sequence[str] = (),
        since: date | None = None,
        until: date | None = None,
        timeout_s: float | None = None,
    ) -> Response[InstrumentEvents]:
        """Events of one instrument, by its UUID: GET `/v1/instruments/{instrument_id}/events`.

        `since` and `until` are inclusive. `event_types` are EARNINGS, DIVIDEND, STOCK_SPLIT and IPO.
        """
        query = {
            "event_types": joined(lambda each: plain_word(each, "event type"), event_types, "event_types"),
            "from_date": _day(since, "since"),
            "to_date": _day(until, "until"),
        }
        request = get(f"/v1/instruments/{ids.instrument_id(instrument_id)}/events", query)
        return await self._calls.read_one(request, InstrumentEvents, timeout_s=timeout_s)

    async def read_dividends(
        self, instrument_id: str, *, since: date | None = None, until: date | None = None
    ) -> tuple[Dividend, ...]:
        """Dividends of an instrument from one day to another, both included, by ex-date."""
        answer = await self.get_instrument_events(
            instrument_id, event_types=["DIVIDEND"], since=since, until=until, timeout_s=_LONGEST_WAIT_S
        )
        if answer.data.instrument_id not in (None, instrument_id):
            raise _failures.another("instrument", answer.metadata.request_id)
        within = [
            each
            for each in answer.data.dividends
            if (since is None or since <= each.ex_date) and (until is None or each.ex_date <= until)
        ]
        return tuple(sorted(within, key=attrgetter("ex_date")))


def _batches(ids: Sequence[InstrumentId]) -> Iterator[Sequence[InstrumentId]]:
    distinct = tuple(dict.fromkeys(ids))
    for start in range(0, len(distinct), MOST_LOOKED_UP):
        yield distinct[start : start + MOST_LOOKED_UP]


def _named(instruments: Sequence[str], name: str) -> str | None:
    words = checked(instrument_word, instruments, name)
    if len(words) > MOST_LOOKED_UP:
        raise InvalidInput(f"{name} has {len(words)} instruments.", hint=f"It has at most {MOST_LOOKED_UP}.")
    return ",".join(words) or None


def _one(instrument: str | None) -> str | None:
    return None if instrument is None else instrument_word(instrument)


def _day(value: date | None, name: str) -> str | None:
    if value is not None and type(value) is not date:
        raise InvalidInput(f"{name} is {value!r:.40}.", hint="It is a datetime.date without a time.")
    return None if value is None else value.isoformat()

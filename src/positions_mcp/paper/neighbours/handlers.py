"""From a request for one of the neighbours to its answer: one method for each operation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.answers import Answer, Call
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.ledger import Ledger, found, known_symbol
from positions_mcp.paper.neighbours.accounts import (
    EVENT_CONTRACTS,
    MARKETS,
    account_row,
    balances_row,
    executions,
    full_name,
    market_hours_row,
)
from positions_mcp.paper.neighbours.instruments import (
    contract_row,
    events_row,
    expiry_dates,
    instrument_row,
    snapshot_row,
)
from positions_mcp.paper.neighbours.specification import EVENT_TYPES, FLAGS, MOST_IDS
from positions_mcp.paper.requests import Query, page_of
from positions_mcp.paper.symbols import canonical
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import Row, compact, timestamp


class Neighbours:
    """Answers calls. Each method is named after its operation and raises `Refusal` for what is wrong."""

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange

    def get_accounts(self, call: Call) -> Answer:
        """GET accounts: those of the key."""
        prefix, part = call.query.text("account_id") or "", (call.query.text("account_name") or "").lower()
        with self._exchange.reading() as moment:
            numbers = [
                number
                for number in sorted(moment.ledger.accounts)
                if call.access.to(number) and str(number).startswith(prefix) and part in full_name(number).lower()
            ]
            opened = moment.ledger.facts.loaded_at
            rows = [account_row(number, opened) for number in numbers]
            return _paged(call, rows, {"of": "accounts", "id": prefix, "name": part}, moment.ledger)

    def get_account(self, call: Call) -> Answer:
        with self._exchange.reading() as moment:
            return Answer.one(account_row(call.account, moment.ledger.facts.loaded_at))

    def get_balances(self, call: Call) -> Answer:
        with self._exchange.reading() as moment:
            return Answer.one(balances_row(moment, call.account))

    def get_executions(self, call: Call) -> Answer:
        """GET executions: fills, newest first."""
        with self._exchange.reading() as moment:
            rows, filters = executions(moment.ledger, call.account, call.query)
            return _paged(call, rows, filters, moment.ledger)

    def get_clock(self, _: Call) -> Answer:
        """GET clock: the paper clock."""
        with self._exchange.reading() as moment:
            return Answer.one({"clock": timestamp(moment.now)})

    def get_market_hours(self, call: Call) -> Answer:
        """GET market hours of a day: of shares and of options, or of the market that is named."""
        market = call.query.one_of("market", (*MARKETS, EVENT_CONTRACTS))
        with self._exchange.reading() as moment:
            day = _day(call.query, "date") or new_york_day(moment.now)
            if market == EVENT_CONTRACTS:
                return Answer([])
            return Answer([compact(market_hours_row(moment, name, day)) for name in ([market] if market else MARKETS)])

    def get_instruments(self, call: Call) -> Answer:
        """GET instruments: those of the book, by symbol."""
        query = call.query
        wanted, kind = (
            query.several("instrument_ids"),
            query.one_of("instrument_type", self._exchange.dialect.instrument_types),
        )
        flags = {name: _truth(query, name) for name in FLAGS}
        with self._exchange.reading() as moment:
            shown = (instrument_row(each, moment) for each in _several(moment.ledger, wanted))
            rows = [
                row
                for row in shown
                if kind in (None, row["instrument_type"])
                and all(asked is None or row[name] is asked for name, asked in flags.items())
            ]
            return _paged(call, rows, {"of": "instruments", "ids": wanted, "kind": kind, **flags}, moment.ledger)

    def get_instrument(self, call: Call) -> Answer:
        """GET one instrument, by UUID or symbol."""
        with self._exchange.reading() as moment:
            instrument = moment.ledger.instruments[known_symbol(moment.ledger, call.target)]
            more = expiry_dates(instrument, moment) if _truth(call.query, "include_options_expiry_dates") else {}
            return Answer.one(instrument_row(instrument, moment) | more)

    def get_instrument_events(self, call: Call) -> Answer:
        query = call.query
        kinds = query.several("event_types", EVENT_TYPES)
        since, until = _day(query, "from_date"), _day(query, "to_date")
        if since and until and since > until:
            raise Refusal(400, "from_date is not after to_date")
        with self._exchange.reading() as moment:
            instrument = moment.ledger.instruments[known_symbol(moment.ledger, call.target)]
            return Answer.one(events_row(instrument, frozenset(kinds) if kinds else None, since, until))

    def get_option_contracts(self, call: Call) -> Answer:
        """GET option contracts: those named, or those over an underlying."""
        query = call.query
        wanted, root = query.several("contract_ids"), query.text("root") or query.text("underlier")
        over = query.text("underlying_instrument_id")
        if wanted is not None and (root or over):
            raise Refusal(400, "give contract_ids, or root and underlying_instrument_id, not both")
        if wanted is not None and len(wanted) > MOST_IDS:
            raise Refusal(400, f"contract_ids has at most {MOST_IDS} values, not {len(wanted)}")
        right = query.one_of("contract_type", ("CALL", "PUT"))
        expiry, at_open = _day(query, "expiry"), _truth(query, "is_settle_on_open")
        with self._exchange.reading() as moment:
            ledger = moment.ledger
            underlying = known_symbol(ledger, over) if over else None
            rows = [
                contract_row(option, moment)
                for option in _several(ledger, wanted)
                if option.contract
                and right in (None, option.contract.right.upper())
                and expiry in (None, option.contract.expiry)
                and at_open in (None, option.settles_at_open)
                and underlying in (None, option.underlying_symbol)
                and (root is None or _of_root(option, root, ledger))
            ]
            named = {"ids": wanted, "root": root, "over": over, "right": right, "expiry": str(expiry), "am": at_open}
            return _paged(call, rows, {"of": "contracts", **named}, ledger)

    def get_snapshots(self, call: Call) -> Answer:
        """GET snapshots: one for each instrument that is known; what is not known has no row."""
        query = call.query
        wanted, over, expiry = query.several("instrument_ids"), query.text("underlying_instrument_id"), None
        if wanted is None:
            expiry = _day(query, "expiry")
            if over is None or expiry is None:
                raise Refusal(400, "instrument_ids, or underlying_instrument_id and expiry, are required")
        elif over is not None or query.text("expiry") is not None:
            raise Refusal(400, "give instrument_ids, or underlying_instrument_id and expiry, not both")
        elif len(wanted) > MOST_IDS:
            raise Refusal(400, f"instrument_ids has at most {MOST_IDS} values, not {len(wanted)}")
        with self._exchange.reading() as moment:
            chosen = _several(moment.ledger, wanted)
            if over is not None:
                symbol = known_symbol(moment.ledger, over)
                chosen = [
                    o for o in chosen if o.contract and o.contract.expiry == expiry and o.underlying_symbol == symbol
                ]
            return Answer([compact(snapshot_row(instrument, moment)) for instrument in chosen])


def _paged(call: Call, rows: Sequence[Row], filters: dict[str, object], ledger: Ledger) -> Answer:
    page = page_of(*call.query.page(), {**filters, "account": call.account}, ledger.facts.token_secret)
    return Answer([compact(row) for row in page.of(rows)], metadata=page.metadata(len(rows)))


def _several(ledger: Ledger, wanted: Sequence[str] | None) -> list[Instrument]:
    """The instruments of UUIDs and symbols, each once; all of them, by symbol, if none is named."""
    if wanted is None:
        return [ledger.instruments[symbol] for symbol in sorted(ledger.instruments)]
    named = (found(ledger, text) for text in wanted)
    return list({instrument.symbol: instrument for instrument in named if instrument}.values())


def _of_root(option: Instrument, root: str, ledger: Ledger) -> bool:
    """Whether an option has this root; an index's root includes its weekly ones."""
    text = canonical(root).upper()
    if option.contract is None:
        return False
    return option.contract.root == text or (option.underlying_symbol == text and ledger.underlying(option).is_index)


def _day(query: Query, name: str) -> date | None:
    text = query.text(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"{name} is a date, such as 2026-11-27") from None


def _truth(query: Query, name: str) -> bool | None:
    text = query.one_of(name, ("true", "false"))
    return None if text is None else text == "true"

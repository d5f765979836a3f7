"""Scenario files: what a paper book starts with, as a trader writes it in TOML (`docs/paper-exchange.md`).

This module reads and checks; `staging` turns a scenario into a ledger.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from positions_mcp.packaged import config_dir, read_text
from positions_mcp.paper.errors import ScenarioError
from positions_mcp.paper.symbols import ROOT, duration_of, is_ticker, parse_contract, parse_series

_HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_REASON = re.compile(r"[A-Z_]{3,40}", re.ASCII)


def _written(is_so: Callable[[str], object], otherwise: str) -> AfterValidator:
    """A text of one form; of any other it is said that it `is no …`, and what to write."""

    def check(text: str) -> str:
        if not is_so(text):
            raise ValueError(f"{text!r} is no {otherwise}")
        return text

    return AfterValidator(check)


def span_of(duration: str) -> timedelta:
    """The length of a checked duration such as `300ms`."""
    span = duration_of(duration)
    assert span is not None, duration
    return span


Duration = Annotated[
    str, _written(lambda text: duration_of(text) is not None, "duration up to 200 years; write 300ms, 2s, 5m, 4h or 1d")
]
Ticker = Annotated[str, _written(is_ticker, "ticker; write capital letters, such as AAPL or BRK.B")]
Root = Annotated[
    str,
    _written(re.compile(ROOT, re.ASCII).fullmatch, "option root; write SPXW, BRK.B, AAPL1 or, for a FLEX one, 1SPX"),
]
Day = Annotated[
    str,
    _written(
        lambda text: parse_series(f"X {text} 1 call"), "day; write today, tomorrow, +3d, friday, month+1 or 2026-11-27"
    ),
]
InstrumentText = Annotated[
    str,
    _written(
        lambda text: is_ticker(text) or parse_contract(text) or parse_series(text),
        "instrument; write AAPL, AAPL today 190 call, AAPL friday+1 187.5 put or AAPL  280121C00195000",
    ),
]
ReasonCode = Annotated[
    str, _written(_REASON.fullmatch, "reason code; write capital letters, such as INSUFFICIENT_POSITION")
]
Price = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4)]
Units = Annotated[Decimal, Field(gt=0, max_digits=20, decimal_places=12)]
Contracts = Annotated[int, Field(gt=0, le=1_000_000)]


class Section(BaseModel):
    """A table of a scenario file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockSection(Section):
    """`[clock]`: the book's clock runs from this New York time, instead of real time.

    Its first trading day is then one that does not close early.
    """

    at: Annotated[str, _written(_HOUR.fullmatch, "time of day; write HH:MM in New York, such as 15:30")]
    standing: bool = False


class DelaysSection(Section):
    """`[delays]`: how long the exchange takes."""

    acknowledge: Duration = "300ms"
    first_fill: Duration = "1s"
    last_fill: Duration = "2s"
    clearing: Duration = "5s"
    cancel: Duration = "5s"

    @model_validator(mode="after")
    def _in_order(self) -> DelaysSection:
        if not span_of(self.acknowledge) <= span_of(self.first_fill) <= span_of(self.last_fill):
            raise ValueError("acknowledge comes before first_fill, and first_fill before last_fill")
        return self


class UnderlyingSection(Section):
    """`[[underlyings]]`: a share and what it closed at before the scenario begins; `priced = false`: none is known."""

    symbol: Ticker
    price: Price | None = None
    priced: bool = True
    volatility: Annotated[Decimal, Field(ge=0, le=3)] = Decimal("0.30")
    venue: str = "XNAS"
    index: bool = False

    @model_validator(mode="after")
    def _priced_or_not(self) -> UnderlyingSection:
        if self.priced == (self.price is None):
            raise ValueError("give a price, or priced = false")
        return self


class RootSection(Section):
    """`[[option_roots]]`: options of a root that are not American ones over the underlying of the same name."""

    root: Root
    over: Ticker
    style: Literal["american", "european"] = "european"
    settles: Literal["close", "open"] = "close"


class EventSection(Section):
    """`[[dividends]]` and `[[splits]]`: what happens to a share before the session of a day (as in expiries)."""

    symbol: Ticker
    day: Day


class DividendSection(EventSection):
    """`[[dividends]]`: `amount` a share, to who holds it on the ex-date `day`."""

    amount: Price


class SplitSection(EventSection):
    """`[[splits]]`: `new` shares for `old` ones."""

    new: Annotated[int, Field(gt=0, le=1000)]
    old: Annotated[int, Field(gt=0, le=1000)] = 1


class PositionSection(Section):
    """`[[positions]]`: shares or contracts held; a negative quantity is short."""

    symbol: InstrumentText
    quantity: Annotated[Decimal, Field(max_digits=20, decimal_places=12)]
    average_price: Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=6)]

    @model_validator(mode="after")
    def _held(self) -> PositionSection:
        if not self.quantity:
            raise ValueError("a position of 0 is none")
        return self


class LegSection(Section):
    """A leg of a multi-leg order."""

    symbol: InstrumentText
    side: Literal["buy", "sell"]
    ratio: Contracts = 1


class OrderSection(Section):
    """`[[orders]]`: a limit order that rests in the market and never fills; it locks what it would sell or buy back."""

    symbol: InstrumentText | None = None
    legs: tuple[LegSection, ...] = ()
    side: Literal["buy", "sell"]
    quantity: Units
    limit: Price
    age: Duration = "1h"

    @model_validator(mode="after")
    def _one_or_several(self) -> OrderSection:
        if (self.symbol is None) == (len(self.legs) < 2):
            raise ValueError("give a symbol, or two legs or more")
        return self


class InstructionSection(Section):
    """`[[instructions]]`: an instruction from before; clearing answers a sent one `answered_after` the start."""

    symbol: InstrumentText
    type: Literal["exercise", "do_not_exercise", "contrary_exercise"]
    quantity: Contracts
    status: Literal["sent", "accepted", "rejected", "cancel_requested", "cancelled", "cancel_failed"] = "sent"
    accepted: Annotated[int, Field(ge=0)] | None = None
    key: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, Field(max_length=200)] = ""
    answered_after: Duration = "5s"
    age: Duration = "30m"


class BehaviourSection(Section):
    """`[[behaviour]]`: an instrument on which something goes wrong."""

    symbol: InstrumentText
    fills: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(1)
    orders: Literal["fill", "reject", "reject_later"] = "fill"
    reason: Annotated[str, Field(max_length=200)] = ""
    accepts: Annotated[int, Field(ge=0)] | None = None
    refuses: ReasonCode | None = None
    clearing: Literal["accept", "reject"] = "accept"
    cancel: Literal["succeed", "fail"] = "succeed"
    unresolvable: bool = False


class GenerateSection(Section):
    """`[generate]`: positions made up from a seed; the same seed always makes the same ones."""

    seed: str = "large"
    positions: Annotated[int, Field(ge=1, le=200_000)]
    underlyings: Annotated[int, Field(ge=1, le=10_000)] = 400
    options: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.6")
    short: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.3")

    @model_validator(mode="after")
    def _enough_room(self) -> GenerateSection:
        if self.positions > self.underlyings * 200:
            raise ValueError("at most 200 positions for each underlying")
        return self


class Scenario(Section):
    """A whole scenario file."""

    title: str
    about: str = ""
    cash: Annotated[Decimal, Field(max_digits=15, decimal_places=2)] = Decimal(0)
    clock: ClockSection | None = None
    delays: DelaysSection = DelaysSection()
    underlyings: tuple[UnderlyingSection, ...] = ()
    option_roots: tuple[RootSection, ...] = ()
    dividends: tuple[DividendSection, ...] = ()
    splits: tuple[SplitSection, ...] = ()
    positions: tuple[PositionSection, ...] = ()
    orders: tuple[OrderSection, ...] = ()
    instructions: tuple[InstructionSection, ...] = ()
    behaviour: tuple[BehaviourSection, ...] = ()
    generate: GenerateSection | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Scenario:
        for what, names in (
            ("underlyings", [section.symbol for section in self.underlyings]),
            ("option_roots", [section.root for section in self.option_roots]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {twice[0]!r} is there twice")
        return self


def scenario_names() -> list[str]:
    return sorted(path.stem for path in (config_dir() / "paper").glob("*.toml"))


def scenario_name(name: str) -> str:
    """How a book notes its scenario: a file by its whole path, so that it is found again from another directory."""
    return str(Path(name).absolute()) if name.endswith(".toml") else name


def digest_of(scenario: Scenario) -> str:
    """By what a scenario is known: what it says, and neither where its file lies nor how it is written."""
    said = scenario.model_dump_json(exclude_defaults=True, exclude={"title", "about"})
    return blake2b(said.encode(), digest_size=16).hexdigest()


def load_scenario(name: str) -> Scenario:
    """Reads a scenario by its packaged name, or from a file whose path ends in `.toml`.

    Raises ScenarioError; the message names value, allowed values and place.
    """
    path = Path(name) if name.endswith(".toml") else config_dir() / "paper" / f"{name}.toml"
    if not name.endswith(".toml") and name not in scenario_names():
        raise ScenarioError(
            f"no scenario {name!r}; there are {', '.join(scenario_names())}, or give the path of your own .toml file"
        )
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"the scenario {path} cannot be read: {error}") from error
    return parse_scenario(text, where=str(path))


def parse_scenario(text: str, *, where: str) -> Scenario:
    """Checks the text of a scenario file; `where` is named in errors. Raises ScenarioError."""
    try:
        return Scenario.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{where} is not TOML: {error}") from error
    except ValidationError as error:
        raise ScenarioError("\n".join(f"{where}: {_said(problem, Scenario)}" for problem in error.errors())) from None


def _said(problem: object, root: type[Section]) -> str:
    """One problem of a file as `positions[3].quantity = 'x': what is allowed`."""
    assert isinstance(problem, dict)
    place, section = "", root
    for step in problem["loc"]:
        if isinstance(step, int):
            place += f"[{step}]"
            continue
        place += f".{step}" if place else str(step)
        field = section.model_fields.get(str(step))
        for candidate in _sections(field.annotation if field else None):
            section = candidate
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown key; allowed here: {', '.join(section.model_fields)}"
    value = (
        "" if problem["type"] == "missing" or isinstance(problem["input"], dict) else f" = {str(problem['input'])!r}"
    )
    return f"{place}{value}: {str(problem['msg']).removeprefix('Value error, ')}"


def _sections(annotation: object) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for inner in getattr(annotation, "__args__", ()) for section in _sections(inner)]

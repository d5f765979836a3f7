"""Plans: what exactly a person is asked to decide about, frozen and digested.

A plan is written once and never changes. Its digest is the SHA-256 of its canonical JSON, so a decision about a digest
is a decision about every word of the plan: account, mode, caller, targets, open orders, session, warnings and expiry.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from positions_mcp.domain.enums import InstructionType, OrderSide
from positions_mcp.domain.ids import NIL_UUID, AccountId, InstructionId, InstrumentId
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.growth import added
from positions_mcp.domain.text import clean


class Mode(StrEnum):
    """Whose money moves: nobody's, on the embedded exchange, or that of a real account."""

    PAPER = "paper"
    LIVE = "live"

    @property
    def shown(self) -> str:
        """How it stands in front of a person: PAPER or LIVE."""
        return self.upper()

    @property
    def real_clock(self) -> str:
        """What follows a time of the real clock: the paper exchange has a clock of its own."""
        return " by the real clock" if self is Mode.PAPER else ""


class Kind(StrEnum):
    """What a plan does. Each kind is one endpoint of the API."""

    CLOSE_POSITIONS = "close_positions"
    """One request for each instrument."""
    CLOSE_ALL_POSITIONS = "close_all_positions"
    """One request for the whole account."""
    SUBMIT_INSTRUCTIONS = "submit_instructions"
    """One request for the whole batch."""
    CANCEL_INSTRUCTION = "cancel_instruction"
    """One request for one instruction."""

    @property
    def is_close(self) -> bool:
        return self in (Kind.CLOSE_POSITIONS, Kind.CLOSE_ALL_POSITIONS)

    @property
    def is_account_wide(self) -> bool:
        """Whether the request names no instrument and takes whatever the account then holds."""
        return self is Kind.CLOSE_ALL_POSITIONS


class Frozen(BaseModel):
    """A value that cannot change and has no field it does not know. Those that are stored grow as `growth` says.

    What its fields have to do with each other is checked by `model_post_init`: once, when it is made. A validator would
    check it again with everything that it becomes part of, as each of a hundred rows with every request of its close.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    def changed(self, **changes: Any) -> Self:
        """A copy with other values, checked like a new one. Raises pydantic's ValidationError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes})

    @property
    def canonical(self) -> bytes:
        """The value as JSON with sorted keys and no spaces: what digests and signatures are taken of."""
        return canonical_json(self.model_dump(mode="json"))


class Digested(Frozen):
    """A frozen value that goes by its digest."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()


class _Target(Frozen):
    symbol: str
    """What to call the instrument in an answer."""
    instrument_id: InstrumentId
    measure: Decimal = Field(ge=0)
    """Dollars this target counts for against limits."""
    priced: bool = True
    """False where a price was missing, so that the notional may be too small."""
    has_namesakes: bool = added("0.2.0", default=False)
    """Whether others that are held are called the same."""

    @property
    def called(self) -> str:
        """What a person is shown of it: its id too, where that alone tells it apart."""
        return f"{self.symbol} [{self.instrument_id}]" if self.has_namesakes else self.symbol

    def goes_by(self, name: str) -> bool:
        """Whether somebody who says `name` may mean it."""
        return name.strip().upper() in (self.symbol.upper(), self.instrument_id.upper(), self.called.upper())

    @property
    def is_adjusted(self) -> bool:
        """Whether it is an option of which the symbol does not say what it delivers."""
        contract = parse_option_symbol(self.symbol)
        return contract is not None and not contract.is_standard


class CloseTarget(_Target):
    """A position to be closed and the order it should produce. Quantities are shares or contracts."""

    action: Literal["close"] = "close"
    quantity: Decimal
    """Signed, as held when planned; never zero."""
    available: Decimal | None
    value: Decimal | None
    """Signed market value in dollars, None where the API does not say."""
    side: Literal[OrderSide.BUY, OrderSide.SELL]
    order_quantity: Decimal = Field(ge=0)
    type_says: str = added("0.2.0", default="")
    """The API's position type where it contradicts the sign of the quantity: then the order may be on either side."""
    underlying_price: Decimal | None = added("0.2.0", default=None)
    """Of an option: what its underlying cost when planned; None where it was not known."""

    def model_post_init(self, _context: object) -> None:
        if self.quantity == 0 or self.side is not closing_side(self.quantity):
            raise ValueError("a close sells what is held long or buys back what is held short")
        if self.order_quantity > self.quantity.copy_abs():
            raise ValueError("a close does not trade more than is held")


class HeldTarget(_Target):
    """Whatever is held when it is sent, for a person who flattens although the book cannot be read.

    It is held of the instrument, or of the whole account where the id is the nil UUID. Nothing of its size is known.
    """

    action: Literal["close_held"] = "close_held"
    priced: Literal[False] = False

    @property
    def is_everything(self) -> bool:
        """Whether it stands for the whole account."""
        return self.instrument_id == NIL_UUID


class InstructionTarget(_Target):
    """One row of a batch of exercise instructions: whole contracts under a caller's key."""

    action: Literal["instruct"] = "instruct"
    instruction_type: InstructionType
    quantity: int = Field(gt=0)
    instruction_key: str
    """The caller's key, given or generated once, so that a continued plan sends the same one."""
    underlying_price: Decimal | None = None
    """What the consequences are told at; None where it was not known."""
    consequences: tuple[str, ...] = ()
    """What a person is told of it, line by line."""


class CancelTarget(_Target):
    """An instruction to be cancelled, by the server's id."""

    action: Literal["cancel"] = "cancel"
    instruction_id: InstructionId
    instruction_type: InstructionType
    quantity: int | None
    status: str = ""
    """The API's own status when planned."""
    underlying_price: Decimal | None = None
    consequences: tuple[str, ...] = ()


Target = Annotated[CloseTarget | HeldTarget | InstructionTarget | CancelTarget, Field(discriminator="action")]

_TOO_LITTLE = timedelta(minutes=1)

_ACTION_OF_KIND = {
    Kind.CLOSE_POSITIONS: "close",
    Kind.CLOSE_ALL_POSITIONS: "close",
    Kind.SUBMIT_INSTRUCTIONS: "instruct",
    Kind.CANCEL_INSTRUCTION: "cancel",
}


class Plan(Digested):
    """One destructive operation as it is put before a person. Targets stand in the order of sending."""

    plan_id: str = Field(min_length=1, max_length=64)
    """Also the id of the operation that comes of it."""
    mode: Mode
    account_id: AccountId
    kind: Kind
    caller: str = Field(min_length=1)
    """A label of who asked, not evidence."""
    targets: tuple[Target, ...] = Field(min_length=1)
    cancel_orders: bool = False
    session: str = ""
    """The market's state in words: what happens to an order sent now."""
    projection: tuple[str, ...] = added("0.2.0", default=())
    """Of instructions: what the evening leaves the account with, with them and without them, line by line."""
    purpose: str = added("0.2.0", default="")
    """Why, in the caller's own words. Cleaned; to be quoted as data."""
    replaces: str = added("0.2.0", default="")
    """The plan of the same arguments that nearly ran out when this one was made; empty where there was none."""
    policy: str = added("0.2.0", default="")
    """Fingerprint of the limits by which it was judged when it was made."""
    rights: tuple[str, ...] = added("0.2.0", default=())
    """What its caller, who has signed in, had rights to when it was made: names of the configuration, sorted."""
    warnings: tuple[str, ...] = ()
    created_at: AwareDatetime
    expires_at: AwareDatetime
    flatten: bool = False
    """A person's own way out, from a terminal: whatever is held when it is sent."""

    def model_post_init(self, _context: object) -> None:
        held = [target for target in self.targets if isinstance(target, HeldTarget)]
        others = [target for target in self.targets if target not in held]
        if any(target.action != _ACTION_OF_KIND[self.kind] for target in others):
            raise ValueError(f"a target does not fit a plan to {self.kind}")
        if held and not (self.flatten and self.kind.is_close):
            raise ValueError("only a person who flattens closes what was not read")
        if any(target.is_everything != self.kind.is_account_wide for target in held):
            raise ValueError("everything held is closed by one request, and an instrument by its own")
        closed = [target.instrument_id for target in self.targets if target.action in ("close", "close_held")]
        if len(set(closed)) != len(closed):
            raise ValueError("an instrument is closed once")
        if self.kind is Kind.CANCEL_INSTRUCTION and len(self.targets) != 1:
            raise ValueError("one instruction is cancelled at a time")
        if not self.created_at < self.expires_at:
            raise ValueError("a plan expires after it is made")

    @cached_property
    def measure(self) -> Decimal:
        """Dollars the whole plan counts for against limits."""
        return exact_sum(target.measure for target in self.targets)

    @property
    def said_of_replaced(self) -> str:
        """That it takes the place of an earlier plan, in a sentence; empty where it does not."""
        if not self.replaces:
            return ""
        return f"An earlier plan of the same arguments, {self.replaces}, had less than a minute left and was replaced."

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The instruments it is about, by id."""
        return tuple(target.instrument_id for target in self.targets)

    @cached_property
    def closes(self) -> tuple[CloseTarget, ...]:
        """The targets of a close, typed; empty for other kinds."""
        return tuple(target for target in self.targets if isinstance(target, CloseTarget))

    @cached_property
    def closings(self) -> tuple[CloseTarget | HeldTarget, ...]:
        """The targets of a close, also where their size is not known; empty for other kinds."""
        return tuple(target for target in self.targets if isinstance(target, CloseTarget | HeldTarget))

    @cached_property
    def instructions(self) -> tuple[InstructionTarget, ...]:
        """The rows of a submit, typed; empty for other kinds."""
        return tuple(target for target in self.targets if isinstance(target, InstructionTarget))

    @cached_property
    def cancels(self) -> tuple[CancelTarget, ...]:
        """The one target of a cancel, typed; empty for other kinds."""
        return tuple(target for target in self.targets if isinstance(target, CancelTarget))

    @cached_property
    def target_key(self) -> str:
        """The same for every plan about the same set of targets, whoever asks and however it is done."""
        return key_of(self.mode, self.account_id, _ACTION_OF_KIND[self.kind], sorted(map(_identity, self.targets)))

    def is_of_account(self, typed: str) -> bool:
        """Whether a person typed its account's number, with whatever spaces and invisible characters around it."""
        return clean(typed, 40) == str(self.account_id)

    def ends_soon(self, now: datetime) -> bool:
        """Whether too little is left of it for a person to decide: of a short one, less than half."""
        return self.expires_at - now < min(_TOO_LITTLE, (self.expires_at - self.created_at) / 2)

    def is_expired(self, now: datetime) -> bool:
        """Whether it may no longer be decided about."""
        return now >= self.expires_at


def closing_side(quantity: Decimal) -> Literal[OrderSide.BUY, OrderSide.SELL]:
    """SELL for what is held long, BUY for what is held short."""
    return OrderSide.SELL if quantity > 0 else OrderSide.BUY


def canonical_json(value: Any) -> bytes:
    """`value` as JSON that is the same for equal values: sorted keys, no spaces, UTF-8. Takes JSON types only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def key_of(*parts: object) -> str:
    """A short fingerprint of JSON-able parts."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()[:32]


def _identity(target: CloseTarget | HeldTarget | InstructionTarget | CancelTarget) -> list[str]:
    if isinstance(target, CloseTarget | HeldTarget):
        return [target.instrument_id]
    if isinstance(target, InstructionTarget):
        return [target.instrument_id, target.instruction_type, str(target.quantity)]
    return [target.instruction_id]

"""The asynchronous client of the Clear Street Trading API's positions operations; usable on its own.

```python
from positions_mcp.api import PositionsClient

async with PositionsClient(base_url="https://api.clearstreet.com", api_key="<id>.<secret>") as client:
    book = await client.read_book(19816)
```

Everything HTTP lives here, and everything a caller names can be imported from here. `docs/client.md` is its manual.
`httptools`, or `httpx` for a proxy or a transport, is imported on the first request, not with this package.
"""

from positions_mcp.api._listing import Listing, Pages
from positions_mcp.api._requests import Contract, UpdatedAt
from positions_mcp.api.client import PositionsClient
from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import (
    ContractFacts,
    Dividend,
    Greeks,
    InstrumentEvents,
    LastQuote,
    LastTrade,
    SessionPrices,
    Snapshot,
    next_dividend,
)
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Holding, Position, Side
from positions_mcp.domain.account.readings import NotKnown, Reading, known
from positions_mcp.domain.enums import (
    ContractType,
    ExerciseStyle,
    InstructionStatus,
    InstructionType,
    ListingType,
    MarginType,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSortKey,
    PositionType,
    QueueState,
    SecurityType,
    SortDirection,
    TimeInForce,
    TrailingOffsetType,
)
from positions_mcp.domain.errors import (
    AnsweredForAnother,
    ConfigurationError,
    Forbidden,
    InconsistentListing,
    InvalidInput,
    NotFound,
    NothingSent,
    OutcomeUnknown,
    PositionsError,
    RateLimited,
    ReadFailed,
    RequestRejected,
    Sent,
    Unauthenticated,
    UnsafeIdentifier,
    UpstreamError,
)
from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest, Rejection
from positions_mcp.domain.instruments import OptionContract, OptionRight, parse_option_symbol
from positions_mcp.domain.operation.records import Metadata, Problem, Response, UnreadableRow

__all__ = [
    "AnsweredForAnother",
    "Balances",
    "Book",
    "ConfigurationError",
    "Contract",
    "ContractFacts",
    "ContractType",
    "Dividend",
    "ExerciseStyle",
    "Forbidden",
    "Greeks",
    "Holding",
    "InconsistentListing",
    "Instruction",
    "InstructionRequest",
    "InstructionStatus",
    "InstructionType",
    "InstrumentEvents",
    "InvalidInput",
    "LastQuote",
    "LastTrade",
    "Listing",
    "ListingType",
    "MarginType",
    "Metadata",
    "NotFound",
    "NotKnown",
    "NothingSent",
    "OptionContract",
    "OptionRight",
    "Order",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "OutcomeUnknown",
    "Pages",
    "Position",
    "PositionSortKey",
    "PositionType",
    "PositionsClient",
    "PositionsError",
    "Problem",
    "QueueState",
    "RateLimited",
    "ReadFailed",
    "Reading",
    "Rejection",
    "RequestRejected",
    "Response",
    "SecurityType",
    "Sent",
    "SessionPrices",
    "Side",
    "Snapshot",
    "SortDirection",
    "TimeInForce",
    "TrailingOffsetType",
    "Unauthenticated",
    "UnreadableRow",
    "UnsafeIdentifier",
    "UpdatedAt",
    "UpstreamError",
    "known",
    "next_dividend",
    "parse_option_symbol",
]

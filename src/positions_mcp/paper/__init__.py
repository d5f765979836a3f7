"""A paper exchange that speaks the positions operations of the Clear Street API over HTTP.

```python
exchange = PaperExchange.open(data_dir, scenario="demo")
transport = httpx.ASGITransport(app=exchange.app)      # or `positions-mcp paper serve` over TCP
```
How faithful it is: `docs/paper-exchange.md`.
"""

from positions_mcp.paper.errors import BookError, PaperError, ScenarioError
from positions_mcp.paper.exchange import DEFAULT_ACCOUNT, DEFAULT_KEY, DEFAULT_SCENARIO, PaperExchange
from positions_mcp.paper.fault_kinds import CONDITIONS, KINDS
from positions_mcp.paper.faults import AnswerTruncated, ConnectionDropped, ConnectionRefused, Fault, TransportFault
from positions_mcp.paper.operations import OPERATIONS

__all__ = [
    "CONDITIONS",
    "DEFAULT_ACCOUNT",
    "DEFAULT_KEY",
    "DEFAULT_SCENARIO",
    "KINDS",
    "OPERATIONS",
    "AnswerTruncated",
    "BookError",
    "ConnectionDropped",
    "ConnectionRefused",
    "Fault",
    "PaperError",
    "PaperExchange",
    "ScenarioError",
    "TransportFault",
]

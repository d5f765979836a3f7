"""A paper exchange that speaks the positions operations of the Clear Street API over HTTP.

```python
exchange = PaperExchange.open(data_dir, scenario="demo")
transport = httpx.ASGITransport(app=exchange.app)      # or `positions-mcp paper serve` over TCP
```
How faithful it is: `docs/paper-exchange.md`.
"""

from positions_mcp.paper.errors import BookError as BookError
from positions_mcp.paper.errors import PaperError as PaperError
from positions_mcp.paper.errors import ScenarioError as ScenarioError
from positions_mcp.paper.exchange import DEFAULT_ACCOUNT as DEFAULT_ACCOUNT
from positions_mcp.paper.exchange import DEFAULT_KEY as DEFAULT_KEY
from positions_mcp.paper.exchange import DEFAULT_SCENARIO as DEFAULT_SCENARIO
from positions_mcp.paper.exchange import PaperExchange as PaperExchange
from positions_mcp.paper.fault_kinds import CONDITIONS as CONDITIONS
from positions_mcp.paper.fault_kinds import KINDS as KINDS
from positions_mcp.paper.faults import AnswerTruncated as AnswerTruncated
from positions_mcp.paper.faults import ConnectionDropped as ConnectionDropped
from positions_mcp.paper.faults import ConnectionRefused as ConnectionRefused
from positions_mcp.paper.faults import Fault as Fault
from positions_mcp.paper.faults import TransportFault as TransportFault
from positions_mcp.paper.operations import OPERATIONS as OPERATIONS

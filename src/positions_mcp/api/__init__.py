"""The asynchronous client of the Clear Street Trading API's positions operations; usable on its own.

```python
from positions_mcp.api import PositionsClient

async with PositionsClient(base_url="https://api.clearstreet.com", api_key="<id>.<secret>") as client:
    book = await client.read_book(19816)
```

Everything HTTP lives here. `httpx` is imported on the first request, not with this package.
"""

from positions_mcp.api._listing import Listing, Pages
from positions_mcp.api._requests import Contract
from positions_mcp.api.client import PositionsClient

__all__ = ["Contract", "Listing", "Pages", "PositionsClient"]

"""The paper exchange as an HTTP transport of the production client, inside this process.

Parsing, authentication, paging and errors are then the real code; only the socket is missing.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    import httpx

    from positions_mcp.paper.exchange import PaperExchange


class PaperTransport:
    """Implements `httpx.AsyncBaseTransport` by its methods, without importing httpx before the first request.

    Failures of the connection that are armed at the exchange become what a socket would have raised.
    """

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer `request` from the exchange. Raises httpx.ConnectError or httpx.ReadError for armed faults."""
        import httpx

        from positions_mcp.paper.faults import ConnectionRefused, TransportFault

        try:
            return await self._asgi.handle_async_request(request)
        except ConnectionRefused as fault:
            raise httpx.ConnectError(str(fault), request=request) from fault
        except TransportFault as fault:
            raise httpx.ReadError(str(fault), request=request) from fault

    async def aclose(self) -> None:
        """Nothing to close: the exchange outlives its clients."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @cached_property
    def _asgi(self) -> httpx.ASGITransport:
        import httpx

        return httpx.ASGITransport(app=self._exchange.app)


def paper_transport(exchange: PaperExchange) -> httpx.AsyncBaseTransport:
    """The exchange as a client takes it: by its methods it is a transport, without the import of the class."""
    return cast("httpx.AsyncBaseTransport", PaperTransport(exchange))

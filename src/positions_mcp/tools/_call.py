"""One call of a tool: what it may use, who calls, and the progress that tells a waiting client how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from mcp.server.mcpserver.context import Context
from mcp_types import ElicitationCapability, ElicitResult
from mcp_types.version import is_version_at_least

from positions_mcp.guard.asking import CanShow
from positions_mcp.in_flight import answered, tasks_beside
from positions_mcp.ports import OnPage
from positions_mcp.tools._caller import Caller, caller_of
from positions_mcp.tools.context import ToolContext
from positions_mcp.tools.lazy_context import LazyContext

LINK = "desk"
"""What the link to a plan's page is called among the requests of a round."""
_MODERN = "2026-07-28"
"""The first protocol version whose answers carry questions."""


@dataclass(slots=True)
class Call:
    """What a handler is given beside its arguments."""

    context: ToolContext
    caller: Caller
    sdk: Context[Any, Any]
    """The SDK's own view of the request."""
    clock_note: str = ""
    """Why the market's clock could not be read for it, if it could not."""
    _saying: str = "Waiting for the broker or the operation store"
    _started: float = field(default_factory=anyio.current_time)
    _reported: float = 0.0

    @property
    def can_show_form(self) -> bool:
        """Whether this client, on this connection, can show a form to a person."""
        declared = self._declared
        return declared is not None and not (declared.form is None and declared.url is not None) and self._can_ask

    @property
    def can_open_link(self) -> bool:
        """Whether this client, on this connection, can send a person to a page."""
        return self._declared is not None and self._declared.url is not None and self._can_ask

    @property
    def can_show(self) -> CanShow:
        """The same of forms and links. In the era of 2026 other servers of the store take a form's answer too."""
        shared = self.is_modern and self.context.is_one_of_several
        return CanShow(self.can_show_form, self.can_open_link, ends_with_server=not shared)

    @property
    def is_modern(self) -> bool:
        """Whether questions are results of the call, and their answers come with a new round."""
        return self.sdk.protocol_version is not None and is_version_at_least(self.sdk.protocol_version, _MODERN)

    @property
    def came_back_from_link(self) -> bool:
        """Whether this round brings the answer to a link."""
        return LINK in (self.sdk.input_responses or {})

    @property
    def went_to_page(self) -> bool:
        """Whether the client's answer to the link says that it was opened."""
        answer = (self.sdk.input_responses or {}).get(LINK)
        return isinstance(answer, ElicitResult) and answer.action == "accept"

    @property
    def _declared(self) -> ElicitationCapability | None:
        capabilities = self.sdk.client_capabilities
        return capabilities.elicitation if capabilities is not None else None

    @property
    def _can_ask(self) -> bool:
        return self.is_modern or self.sdk.session.can_send_request

    @property
    def is_retry(self) -> bool:
        """Whether the client comes back to a call that has asked. Such a round never makes a plan."""
        return self.sdk.input_responses is not None or self.sdk.request_state is not None

    def page_progress(self) -> OnPage:
        """What tells the client how far a listing of several pages has come.

        A listing that is read once more tells nothing until it has come further: progress never goes back.
        """
        furthest = 0

        async def tell(read: int, total: int | None) -> None:
            nonlocal furthest
            is_one_page = furthest == 0 and total is not None and read >= total
            if read > furthest and not is_one_page:
                furthest = read
                await self._report(read, total, f"{read} of {total} rows read" if total else f"{read} rows read")

        return tell

    async def wait_progress(self, waited: float, at_most: float) -> None:
        """Tell the client how long an operation has been followed."""
        await self._report(waited, at_most, "Following the operation")

    async def say(self, words: str) -> None:
        """Tell the client what the call waits for, now and until something else is said."""
        self._saying = words
        await self._report(self._elapsed, None, words)

    async def until_left(self) -> None:
        """Wait until nobody waits for the answer at the other end; over standard streams the call is cancelled then."""
        request = self.sdk.request_context.request
        await (anyio.sleep_forever() if request is None else answered(request.scope).wait())

    async def keep_saying(self, every_s: float) -> None:
        """Repeat it for as long as the call lasts. A client that has gone is not told."""
        while True:
            await anyio.sleep(every_s)
            await self._report(self._elapsed, None, self._saying)

    @property
    def _elapsed(self) -> float:
        return round(anyio.current_time() - self._started, 3)

    async def _report(self, reached: float, total: float | None, words: str) -> None:
        # Progress has to increase from one notification to the next, whatever it counts.
        self._reported = max(reached, round(self._reported + 0.001, 3))
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self.sdk.report_progress(self._reported, total, words)


async def begin(sdk: Context[LazyContext, Any]) -> Call:
    """The call that a request is. Raises PositionsError where the context cannot be opened."""
    context, caller = await sdk.request_context.lifespan_context.get(), caller_of(sdk)
    if caller.token is not None:
        context = context.within(caller.token.accounts)
    return Call(context, caller, sdk, await context.follow_clock())


def kept_alive(call: Call) -> AbstractAsyncContextManager[None]:
    """Within, the client hears every few seconds what the call waits for."""
    return beside(partial(call.keep_saying, call.context.heartbeat_s))


@asynccontextmanager
async def beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Within, that goes on as well; at its end it is cancelled."""
    async with tasks_beside() as tasks:
        tasks.start_soon(work)
        yield

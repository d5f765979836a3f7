"""Standard input and output for a client that asks what the server is before it chooses an era of the protocol.

The SDK takes the era of the first request and refuses `initialize` behind discovery, although a client may give
discovery up, or not like its answer, and go on with `initialize` on the same pipe. Here the first request that is
served decides. What comes before it is answered by the SDK too, in a conversation beside the one that follows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import mcp_types
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import stdio_server
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.server.lowlevel import Server
    from mcp.shared._stream_protocols import ReadStream

Item = SessionMessage | Exception
Lifespan = TypeVar("Lifespan")


async def serve_stdio(server: Server[Lifespan]) -> None:
    """Serve one client over this process's standard streams, until it ends the conversation."""
    async with stdio_server() as (asked, answers), server.lifespan(server) as state, anyio.create_task_group() as tasks:
        converse = partial(
            serve_dual_era_loop, server, lifespan_state=state, init_options=server.create_initialization_options()
        )
        to_probes, probes = anyio.create_memory_object_stream[Item]()
        to_conversation, conversation = anyio.create_memory_object_stream[Item]()
        tasks.start_soon(converse, probes, answers.clone())
        tasks.start_soon(converse, conversation, answers)
        tasks.start_soon(_sort, asked, to_probes, to_conversation)


async def _sort(
    asked: ReadStream[Item], probes: MemoryObjectSendStream[Item], conversation: MemoryObjectSendStream[Item]
) -> None:
    is_decided = False
    async with probes, conversation:
        async for item in asked:
            if not is_decided and isinstance(item, SessionMessage):
                if _is_probe(item.message):
                    await probes.send(item)
                    continue
                is_decided = isinstance(item.message, JSONRPCRequest)
            await conversation.send(item)


def _is_probe(message: JSONRPCMessage) -> bool:
    """Whether it asks only what the server is, or asks in a way that no era serves, or takes back what did."""
    match message:
        case JSONRPCNotification():
            return message.method == "notifications/cancelled"
        case JSONRPCRequest(params={"_meta": {mcp_types.PROTOCOL_VERSION_META_KEY: _}}):
            if message.method == "initialize":
                return False
            route = classify_inbound_request({"method": message.method, "params": message.params})
            return message.method == "server/discover" or isinstance(route, InboundLadderRejection)
    return False

"""A client that is gone keeps nobody from asking, and what it still answers is taken once or refused (G-22, G-06)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import TaskStatus

from over_http.serving import Served, http_server
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store import DEFAULT_FILE, open_store

pytestmark = pytest.mark.requirement("G-22", "G-06")

Message = dict[str, Any]
DISMISSED: Message = {"action": "cancel"}
YES: Message = {"action": "accept", "content": {"approve": True}}
FORM = {"elicitation": {"form": {}}}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": FORM,
}
_IDS = count(1)


def close(*symbols: str) -> Message:
    return {"name": "close_positions", "arguments": {"instruments": symbols}}


@dataclass
class Raw:
    """A client that goes away whenever a test wants it to."""

    http: httpx2.AsyncClient
    url: str
    folder: Path

    async def initialize(self) -> None:
        """Begin a session of the era of 2025."""
        said = {"protocolVersion": "2025-11-25", "capabilities": FORM, "clientInfo": {"name": "raw", "version": "1"}}
        answer = await self.http.post(self.url, json=_message("initialize", said))
        session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        self.http.headers.update(session)
        await self.http.post(self.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ask(self, *symbols: str) -> Message:
        """The question or the answer of a call; then its connection is cut."""
        async with self.http.stream("POST", self.url, json=_message("tools/call", close(*symbols))) as stream:
            async for line in stream.aiter_lines():
                message: Message = json.loads(line[5:]) if line.startswith("data: {") else {}
                if message.get("method") == "elicitation/create" or "result" in message:
                    return message
        raise AssertionError("it ended without either")

    async def ask_and_stay(self, symbol: str, *, task_status: TaskStatus[Message]) -> None:
        """Has started with the question, and goes on until the call is over."""
        async with self.http.stream("POST", self.url, json=_message("tools/call", close(symbol))) as stream:
            async for line in stream.aiter_lines():
                if "elicitation/create" in line:
                    task_status.started(json.loads(line[5:]))

    async def answer(self, question: Message, result: Message) -> int:
        """Answer a question of the session, by a request of its own."""
        assert question["method"] == "elicitation/create"
        said = {"jsonrpc": "2.0", "id": question["id"], "result": result}
        return (await self.http.post(self.url, json=said)).status_code

    async def call_modern(self, *symbols: str, **more: Any) -> Message:
        """A whole request of the era of 2026, and its result."""
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "close_positions"}
        body = _message("tools/call", {**close(*symbols), **more, "_meta": MODERN})
        text = (await self.http.post(self.url, json=body, headers=headers)).text
        found: Message = json.loads(text.rpartition("data: ")[2])["result"]
        return found

    async def until(self, event: str) -> None:
        """Wait until the journal has an event."""
        with anyio.fail_after(60):
            while True:
                if event in self.events():
                    return
                await anyio.sleep(0.01)

    def events(self) -> list[str]:
        with closing(open_store(self.folder / DEFAULT_FILE)) as store:
            return [entry.event for entry in store.journal()]

    def stages(self) -> set[Stage]:
        """Those of all operations."""
        with closing(open_store(self.folder / DEFAULT_FILE)) as store:
            return {each.stage for each in store.operations()}


def _message(method: str, params: Message) -> Message:
    return {"jsonrpc": "2.0", "id": next(_IDS), "method": method, "params": params}


@asynccontextmanager
async def raw(server: Served, token: str, folder: Path) -> AsyncIterator[Raw]:
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        yield Raw(http, server.url, folder)


def words(message: Message) -> str:
    return json.dumps(message)


async def test_where_the_stream_of_a_question_is_cut_another_may_be_asked_and_a_yes_that_still_comes_is_taken_once(
    tmp_path: Path,
) -> None:
    async with http_server(tmp_path) as server, raw(server, server.token("alice"), tmp_path) as client:
        await client.initialize()
        first = await client.ask("KO")
        await client.until("form not answered")
        assert [await client.answer(first, YES) for _ in range(2)] == [202, 202]
        await client.until("ended")
        await client.answer(await client.ask("XOM"), DISMISSED)
        assert client.stages() == {Stage.FINISHED, Stage.AWAITING_APPROVAL}
        assert client.events().count("sending") == 1


async def test_a_yes_that_comes_while_another_question_is_open_is_refused_and_told_so(tmp_path: Path) -> None:
    async with http_server(tmp_path) as server, raw(server, server.token("alice"), tmp_path) as client:
        await client.initialize()
        first = await client.ask("KO")
        await client.until("form not answered")
        async with anyio.create_task_group() as tasks:
            second = await tasks.start(client.ask_and_stay, "XOM")
            await client.answer(first, YES)
            await client.until("yes not taken")
            await client.answer(second, DISMISSED)
        assert client.stages() == {Stage.AWAITING_APPROVAL}


@pytest.mark.requirement("G-01", "G-20")
async def test_what_is_no_answer_of_the_protocol_is_no_yes_and_not_told_as_accept(tmp_path: Path) -> None:
    async with http_server(tmp_path) as server, raw(server, server.token("alice"), tmp_path) as client:
        await client.initialize()
        for result in (
            {"action": "maybe", "content": {"approve": True}},
            {"action": "ACCEPT", "content": {"approve": True}},
            {"content": {"approve": True}},
            {"action": "accept", "content": [True]},
        ):
            async with anyio.create_task_group() as tasks:
                await client.answer(await tasks.start(client.ask_and_stay, "KO"), result)
            name = "content" if result.get("action") == "accept" else "action"
            with closing(open_store(tmp_path / DEFAULT_FILE)) as store:
                noted = [entry.content["how"] for entry in store.journal() if entry.event == "form not answered"]
            assert f"answered something that the protocol does not have: its {name} is none" in str(noted[-1])
        assert client.stages() == {Stage.AWAITING_APPROVAL}


async def test_the_end_of_a_session_closes_its_questions_and_its_answers_find_nothing(tmp_path: Path) -> None:
    async with http_server(tmp_path) as server:
        token = server.token("alice")
        async with raw(server, token, tmp_path) as client, raw(server, token, tmp_path) as another:
            await client.initialize()
            async with anyio.create_task_group() as tasks:
                first = await tasks.start(client.ask_and_stay, "KO")
                await another.initialize()
                assert "is still open with a person" in words(await another.ask("XOM"))
                assert (await client.http.delete(client.url)).status_code == 200
                await client.until("form not answered")
            assert await client.answer(first, YES) == 404
            await another.answer(await another.ask("XOM"), DISMISSED)
            assert "sending" not in client.events()


async def test_a_client_that_comes_back_in_a_new_session_is_asked_again_and_of_both_answers_one_counts(
    tmp_path: Path,
) -> None:
    async with http_server(tmp_path) as server:
        token = server.token("alice")
        async with raw(server, token, tmp_path) as gone, raw(server, token, tmp_path) as back:
            await gone.initialize()
            await back.initialize()
            first = await gone.ask("KO")
            await gone.until("form not answered")
            second = await back.ask("KO")
            await back.until("form shown again")
            for client, question in ((back, second), (gone, first)):
                assert await client.answer(question, YES) == 202
            await back.until("ended")
            assert (back.stages(), back.events().count("sending")) == ({Stage.FINISHED}, 1)


async def test_in_the_era_of_2026_who_is_gone_is_asked_again_about_the_same_and_told_the_plan_for_anything_else(
    tmp_path: Path,
) -> None:
    async with http_server(tmp_path) as server, raw(server, server.token("alice"), tmp_path) as client:
        first = await client.call_modern("KO")
        assert "is still open with a person: plan op-" in words(await client.call_modern("XOM"))
        again = await client.call_modern("KO")
        assert again["inputRequests"].keys() == first["inputRequests"].keys()
        answers = {
            "inputResponses": dict.fromkeys(first["inputRequests"], YES),
            "requestState": again["requestState"],
        }
        assert "1 submitted" in words(await client.call_modern("KO", **answers))
        answers["requestState"] = first["requestState"]
        assert "came after the plan was decided" in words(await client.call_modern("KO", **answers))
        assert client.events().count("sending") == 1
        assert "inputRequests" in await client.call_modern("XOM")

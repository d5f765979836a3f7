"""Resources: what the tools answer, at an address, with updates for those who ask."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import INVALID_PARAMS, Implementation, ResourceTemplateReference, ResourceUpdatedNotification

from over_http.serving import http_server
from positions_mcp.domain.errors import RateLimited
from positions_mcp.resources import Template
from positions_mcp.tools._uris import VIEW
from tools.serving import ERAS, StubBroker, data_of, error_of, held, server_over
from trading import Floor, trading_floor, yes

pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")  # the legacy era is served too
KO = {"instruments": ["KO"]}


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def read(client: Client, uri: str) -> dict[str, Any]:
    [content] = (await client.read_resource(uri)).contents
    assert (content.uri, content.mime_type) == (uri, "application/json")
    found: dict[str, Any] = json.loads(content.text)  # type: ignore[union-attr]  # not a blob
    return found


@dataclass
class Ear:
    """What a client of either era hears of changed resources."""

    client: Client
    heard: list[str] = field(default_factory=list)
    _news: anyio.Event = field(default_factory=anyio.Event)

    def hear(self, uri: str) -> None:
        self.heard.append(uri)
        self._news.set()
        self._news = anyio.Event()

    async def hears(self, uri: str) -> None:
        """Wait until it has heard of it once more."""
        with anyio.fail_after(60):
            while uri not in self.heard:
                await self._news.wait()
        self.heard.remove(uri)


@asynccontextmanager
async def listening(era: str, connect: Callable[..., Any], *uris: str) -> AsyncIterator[Ear]:
    """A client that has asked for updates of these resources in its era's way."""
    ears: list[Ear] = []

    async def on_message(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            ears[0].hear(str(message.params.uri))

    async with connect(message_handler=on_message) as client:
        ears.append(Ear(client))
        if era == "legacy":
            for uri in uris:
                await client.subscribe_resource(uri)
            yield ears[0]
            return
        async with client.listen(resource_subscriptions=list(uris)) as events, anyio.create_task_group() as tasks:

            async def pass_on() -> None:
                async for event in events:
                    assert isinstance(event, ResourceUpdated)
                    ears[0].hear(event.uri)

            tasks.start_soon(pass_on)
            yield ears[0]
            tasks.cancel_scope.cancel()


def on(floor: Floor, era: str) -> Callable[..., Any]:
    """One more conversation of the client that `floor.client` is."""
    who = Implementation(name="a client", version="1")
    return lambda **said: Client(floor.server, mode=era, elicitation_callback=yes(), client_info=who, **said)


async def planned(client: Client) -> str:
    return str(data_of(await client.call_tool("preview_close", KO))["plan_id"])


async def test_a_client_sees_the_accounts_the_page_that_draws_answers_and_two_templates(era: str) -> None:
    async with Client(server_over(StubBroker(), accounts=(19816, 20000)), mode=era) as client:
        *resources, page = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert [resource.uri for resource in resources] == ["positions://19816", "positions://20000"]
    assert page.uri == VIEW
    assert [template.uri_template for template in templates] == list(Template)
    assert {each.mime_type for each in [*resources, *templates]} == {"application/json"}
    assert all(each.description and each.title for each in [*resources, *templates])


async def test_positions_are_what_list_positions_answers(era: str) -> None:
    broker = StubBroker(positions=[held("AAPL", market_value="100.10"), held("MSFT", number=1)])
    async with Client(server_over(broker), mode=era) as client:
        assert await read(client, "positions://19816") == data_of(await client.call_tool("list_positions", {}))


async def test_an_operation_is_what_get_operation_answers(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era) as client:
        plan = await planned(client)
        answer = data_of(await client.call_tool("get_operation", {"operation_id": plan}))
        assert await read(client, f"operations://{plan}") == answer
        assert answer["state"] == "PLANNED"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("positions://19817", "Account 19817 is not configured"),
        ("positions://١٩٨١٦", "is not a resource of this server"),
        ("positions://19816/instructions", "is not a resource of this server"),
        ("operations://op-0000000000", "There is no paper operation"),
        ("operations://../19816", "is not a resource of this server. There are positions://{account_id} and"),
        ("file:///etc/passwd", "is not a resource of this server"),
    ],
)
@pytest.mark.requirement("G-08")
async def test_an_address_that_is_none_is_said_as_invalid_params(era: str, uri: str, says: str) -> None:
    broker = StubBroker()
    async with Client(server_over(broker), mode=era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.code == INVALID_PARAMS
    assert says in caught.value.message
    assert broker.requests == 0


@pytest.mark.requirement("A-03")
async def test_what_the_broker_refuses_is_said_in_the_words_of_the_tools(era: str) -> None:
    patience = RateLimited("The API asks for patience.")
    patience.retry_after_s = 7
    broker = StubBroker(error=patience)
    async with Client(server_over(broker), mode=era) as client:
        with pytest.raises(MCPError, match=r"The API asks for patience\..*Wait 7 s.*Nothing was sent"):
            await client.read_resource("positions://19816")


async def test_accounts_and_operation_ids_complete_an_address(era: str, tmp_path: Path) -> None:
    async def completed(client: Client, template: str, name: str, value: str) -> list[str]:
        reference = ResourceTemplateReference(uri=template)
        return (await client.complete(reference, {"name": name, "value": value})).completion.values

    async with trading_floor(tmp_path) as floor, floor.client(era) as client:
        plan = await planned(client)
        assert await completed(client, Template.POSITIONS, "account_id", "19") == ["19816"]
        assert await completed(client, Template.OPERATION, "operation_id", "op") == [plan]
        assert await completed(client, "other://{x}", "x", "") == []


@pytest.mark.requirement("G-14")
async def test_a_client_hears_that_an_operation_was_sent_and_that_positions_changed(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.client(era, yes()) as client:
            plan = await planned(client)
        operation = f"operations://{plan}"
        async with listening(era, on(floor, era), operation, "positions://19816") as ear:
            await ear.client.call_tool("close_positions", {"plan_id": plan})
            await ear.hears(operation)
            await ear.hears("positions://19816")
            assert (await read(ear.client, operation))["state"] == "SUBMITTED"


async def test_a_decision_made_in_another_process_is_heard_of(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, approval={"channel": "desk", "wait_s": 0}) as floor, floor.desk() as desk:
        await desk.set_up()
        async with floor.client(era) as client:
            plan = await planned(client)
            await client.call_tool("close_positions", {"plan_id": plan})
        uri = f"operations://{plan}"
        async with listening(era, on(floor, era), uri) as ear:
            await desk.approve(plan)
            await ear.hears(uri)
            assert (await read(ear.client, uri))["state"] == "APPROVED"


async def test_what_time_decides_is_heard_of(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.client(era) as client:
            uri = f"operations://{await planned(client)}"
        async with listening(era, on(floor, era), uri) as ear:
            floor.later(minutes=6)
            await ear.hears(uri)
            assert (await read(ear.client, uri))["state"] == "EXPIRED"


async def test_a_fill_is_heard_of_without_asking(era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("positions_mcp.tools._updates.FOLLOWING_S", 0)
    async with trading_floor(tmp_path) as floor:
        async with floor.client(era, yes()) as client:
            plan = await planned(client)
            await client.call_tool("close_positions", {"plan_id": plan})
        uri = f"operations://{plan}"
        async with listening(era, on(floor, era), uri) as ear:
            floor.later(minutes=1)
            await ear.hears(uri)
            assert (await read(ear.client, uri))["state"] == "CLOSED"


async def test_a_legacy_client_hears_no_more_of_what_it_unsubscribed(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.client("legacy") as client:
            first, second = await planned(client), "positions://19816"
        uri = f"operations://{first}"
        async with listening("legacy", on(floor, "legacy"), uri, second) as ear:
            await ear.client.unsubscribe_resource(uri)
            await ear.client.call_tool("close_positions", {"plan_id": first})
            await ear.hears(second)
            assert uri not in ear.heard


async def test_nothing_is_read_while_nobody_listens(era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with trading_floor(tmp_path) as floor:
        looks: list[int] = []
        looked = anyio.Event()
        since = floor.deps.guard.changes.since

        async def counted(number: int) -> Any:
            looks.append(number)
            looked.set()
            return await since(number)

        monkeypatch.setattr(floor.deps.guard.changes, "since", counted)
        async with floor.client(era) as client:
            uri = f"operations://{await planned(client)}"
        assert looks == []
        async with listening(era, on(floor, era), uri):
            await looked.wait()
        assert not floor.deps.updates._wanted
        assert floor.deps.updates._seen is None


async def test_a_legacy_client_cannot_subscribe_to_what_is_not_there(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client("legacy") as client:
        for uri in ("operations://op-0000000000", "positions://1", "file:///etc/passwd"):
            with pytest.raises(MCPError, match="is not a resource of this server"):
                await client.subscribe_resource(uri)


@pytest.mark.requirement("G-02")
async def test_another_callers_operation_is_neither_read_nor_heard_of_over_http(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, served.caller("alice", era, yes()) as alice:
        plan = await planned(alice)
        uri, positions = f"operations://{plan}", "positions://19816"

        async def refused(asking: Callable[[str], Awaitable[object]]) -> None:
            with pytest.raises(MCPError, match=r"another caller|not a resource"):
                await asking(uri)

        token = served.token("bob")
        async with served.client(token, era) as bob:
            await refused(bob.read_resource)
            if era == "legacy":
                await refused(bob.subscribe_resource)
        wanted = [positions] if era == "legacy" else [uri, positions]
        async with listening(era, lambda **said: served.client(token, era, **said), *wanted) as ear:
            await alice.call_tool("close_positions", {"plan_id": plan})
            await ear.hears(positions)
            assert uri not in ear.heard
            assert "another caller" in error_of(await ear.client.call_tool("get_operation", {"operation_id": plan}))


@pytest.mark.requirement("G-02")
async def test_a_caller_hears_of_its_own_operation_over_http(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        async with served.client(token, era) as alice:
            uri = f"operations://{await planned(alice)}"
        async with listening(era, lambda **said: served.client(token, era, **said), uri) as ear:
            served.clock.advance(timedelta(minutes=6))
            await ear.hears(uri)

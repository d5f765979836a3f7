"""The page that draws answers: what hosts are told of it, what it may do, and how it reads an answer.

What it draws is tested in a browser: `make e2e`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID, Apps
from mcp.server.mcpserver import MCPServer

from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.tools._uris import VIEW
from positions_mcp.views import document as documents
from positions_mcp.views.document import document
from tools.serving import ERAS, StubBroker, held, server_over

MOST_BYTES = 20_000
DRAWN = {"list_positions", "summarize_positions", "preview_close", "preview_instructions", "project_expiration"}
PAGE = document()
every_era = pytest.mark.parametrize("era", ERAS)


class Parts(HTMLParser):
    """The elements of a document with their attributes, and the text of its script and its style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.texts[self.cdata_elem] = self.texts.get(self.cdata_elem, "") + data


PARTS = Parts(PAGE)
SCRIPT = PARTS.texts["script"]


# --- what a client is told


@every_era
async def test_the_page_is_listed_and_read_and_may_reach_nothing(era: str) -> None:
    broker = StubBroker()
    async with Client(server_over(broker), mode=era) as client:
        [listed] = [each for each in (await client.list_resources()).resources if str(each.uri) == VIEW]
        [content] = (await client.read_resource(VIEW)).contents
    assert (content.mime_type, content.model_dump()["text"]) == (APP_MIME_TYPE, PAGE)
    assert listed.mime_type == APP_MIME_TYPE
    nothing: list[str] = []
    domains = ("connectDomains", "resourceDomains", "frameDomains", "baseUriDomains")
    assert listed.meta == content.meta == {"ui": {"csp": dict.fromkeys(domains, nothing), "prefersBorder": True}}
    assert broker.requests == 0


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_extension_is_declared_as_the_sdk_declares_it(era: str) -> None:
    declared = []
    for server in (server_over(StubBroker()), MCPServer("plain", extensions=[Apps()])):
        async with Client(server, mode=era) as client:
            assert client.server_capabilities is not None
            declared.append(client.server_capabilities.extensions)
    assert declared[0] == declared[1]
    assert era == "legacy" or EXTENSION_ID in (declared[0] or {})


@every_era
async def test_five_tools_name_the_page_and_no_other_does(era: str) -> None:
    async with Client(server_over(StubBroker()), mode=era) as client:
        meta = {tool.name: tool.meta for tool in (await client.list_tools()).tools}
    assert {name for name, said in meta.items() if said is not None} == DRAWN
    assert all(meta[name] == {"ui": {"resourceUri": VIEW}, "ui/resourceUri": VIEW} for name in DRAWN)


@every_era
async def test_answers_are_the_same_whether_or_not_a_client_shows_pages(era: str) -> None:
    server = server_over(StubBroker(positions=[held("AAPL", market_value="100.10")]))
    answers = []
    for extensions in (None, [advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})]):
        async with Client(server, mode=era, extensions=extensions) as client:
            answers.append(await client.call_tool("list_positions", {}))
    plain, drawn = answers
    assert (plain.content, plain.structured_content) == (drawn.content, drawn.structured_content)


def test_a_start_does_not_join_the_page() -> None:
    asked = "import sys, positions_mcp.server; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert "positions_mcp.views.extension" in imported
    assert not {documents.__name__, "mcp.server.apps"} & set(imported)


# --- what the page may do


def test_it_is_small() -> None:
    assert len(PAGE.encode()) < MOST_BYTES


def test_nothing_of_it_is_elsewhere() -> None:
    assert not [element for element in PARTS.elements if {"src", "href", "srcset", "data", "action"} & set(element[1])]
    assert not re.findall(r"url\(|@import|@font-face|\bimport\b|data:", PAGE)
    places = set(re.findall(r"https?:[\\/]*([\w.]+)", PAGE))
    assert places == {"www.w3.org"}, "the namespace of SVG is a name and no address"


def test_its_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    [policy] = [said["content"] for _, said in PARTS.elements if said.get("http-equiv") == "Content-Security-Policy"]

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; script-src {hashed(SCRIPT)}; style-src {hashed(PARTS.texts['style'])}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert not [element for element in PARTS.elements if any(name.startswith(("on", "style")) for name in element[1])]


def test_it_can_say_four_things_to_its_host_and_calls_no_tool() -> None:
    methods = set(re.findall(r'"((?:\w|-)+(?:/(?:\w|-)+)+)"', SCRIPT))
    said = {"ui/initialize", "ui/notifications/initialized", "ui/notifications/size-changed", "ui/open-link"}
    heard = {f"ui/notifications/{name}" for name in ("tool-result", "tool-cancelled", "host-context-changed")}
    assert methods == said | heard | {"ui/resource-teardown"}
    assert len(re.findall(r"\bask\(", SCRIPT)) == 2, "to begin, and to open the desk's page"
    assert len(re.findall("postMessage", SCRIPT)) == 1


@pytest.mark.parametrize(
    "way",
    [
        *("tools/", "resources/", "sampling", "prompts/", "ui/message", "update-model-context", "request-display-mode"),
        *("fetch", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "window.open", "location", "Worker"),
        *("innerHTML", "outerHTML", "insertAdjacent", "document.write", "DOMParser", "srcdoc", "createContextual"),
        *("eval", "Function(", "setTimeout", "Storage", "cookie", "indexedDB", "submit(", "`;import"),
    ],
)
def test_no_other_way_out_or_in_is_written_in_it(way: str) -> None:
    assert way not in SCRIPT


def test_nothing_of_it_moves() -> None:
    assert not re.findall("animation|transition|@keyframes|scroll-behavior", PAGE)


# --- how it reads an answer


@pytest.fixture(scope="module")
def reads() -> Callable[[str], Any]:
    """Values of JavaScript expressions over the page's own functions."""
    functions = SCRIPT.partition("const waiting")[0]

    def read(expression: str) -> Any:
        asked = f"{functions}\nconsole.log(JSON.stringify({expression}))"
        done = subprocess.run(
            ["node", "--input-type=module", "-e", asked], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read


SYMBOLS = [
    "AAPL261120C00225000",
    "AAPL261120P00225500",
    "BRK.B261218C00400000",
    "BRK/B261218C00400000",
    "BRKB261218C00400000",
    "AAPL1261120C00225000",
    "1AAPL261120C00225000",
    "SPXW261120P05000000",
    "F261120C00000500",
    "AAPL260230C00225000",
    "AAPL261320C00225000",
    "AAPL261100C00225000",
    "AAPL261120X00225000",
    "AAPL261120C0022500",
    "AAPL",
    "BRK.B",
    "",
    "8c770b22-8d5b-5c92-a71c-04572bed4987",
    "<b>AAPL261120C00225000</b>",
    "AAPL261120C00225000 or so",
    "ТSLA261120C00225000",
]


def test_a_contract_is_read_as_the_server_reads_it(reads: Callable[[str], Any]) -> None:
    found = reads(f"{json.dumps(SYMBOLS)}.map(contractOf)")
    for symbol, seen in zip(SYMBOLS, found, strict=True):
        contract = parse_option_symbol(symbol)
        if contract is None:
            assert seen is None, symbol
            continue
        assert seen == {
            "on": contract.underlying_root,
            "expires": contract.expiration.isoformat(),
            "sign": 1 if contract.right == "CALL" else -1,
            "strike": float(contract.strike),
            "plain": contract.is_standard,
        }


def test_a_symbol_of_several_contracts_is_not_a_plain_one(reads: Callable[[str], Any]) -> None:
    assert reads("contractOf('AAPL261120C00225000 [8c770b22-8d5b-5c92-a71c-04572bed4987]').plain") is False


def test_a_text_is_a_number_only_where_it_is_one(reads: Callable[[str], Any]) -> None:
    texts = ["1.50", "-3", "0", "", " ", "missing", "1,000", "0x10", "1e5", "Infinity", "12 or more", None, True]
    assert reads(f"{json.dumps(texts)}.map(numberOf)") == [1.5, -3, 0, *[None] * 10]
    spans = ["5", "-112500 to -67500", "3 to 8", "8 to 3", "", "a to b", "1 to 2 to 3", "missing", "5 to "]
    assert reads(f"{json.dumps(spans)}.map(spanOf)") == [[5, 5], [-112500, -67500], [3, 8], [3, 8], *[None] * 5]


PAGES = {
    "A supervisor decides at http://localhost:8421/op/op-7k2m": "http://localhost:8421/op/op-7k2m",
    "… at http://127.0.0.1:80/op/op-7k2m": "http://127.0.0.1:80/op/op-7k2m",
    "… at http://[::1]:8421/op/op-7k2m": "http://[::1]:8421/op/op-7k2m",
    "http://localhost:1/op/op-7k2m is a symbol; decide at http://localhost:8421/op/op-7k2m": (
        "http://localhost:8421/op/op-7k2m"
    ),
    "To decide, the supervisor runs: positions-mcp approve op-7k2m": None,
    "… at http://localhost:8421/op/op-other": None,
    "… at http://localhost:8421/op/op-7k2m-and-more": None,
    "… at http://localhost:8421/op/xop-7k2m": None,
    "… at http://localhost:8421/state": None,
    "… at https://localhost:8421/op/op-7k2m": None,
    "… at http://localhost.evil.example/op/op-7k2m": None,
    "… at http://localhost@evil.example/op/op-7k2m": None,
    "… at http://localhost:80@evil.example/op/op-7k2m": None,
    "… at http://127.0.0.2:8421/op/op-7k2m": None,
    "… at http://127a0b0c1/op/op-7k2m": None,
    "… at javascript:alert(1)//localhost/op/op-7k2m": None,
    "… at http://evil.example/op/op-7k2m": None,
    "… at http://evil.example/?http://localhost.evil/op/op-7k2m": None,
}


def test_only_this_machines_page_of_this_plan_is_a_link(reads: Callable[[str], Any]) -> None:
    asked = [{"next": text, "plan_id": "op-7k2m"} for text in PAGES]
    assert reads(f"{json.dumps(asked)}.map((each) => pageOf(each) ?? null)") == list(PAGES.values())
    assert reads('pageOf({next: "… http://localhost:8421/op/undefined"}) ?? null') is None


CONTRACT = {"contract": {"plain": True}, "quantity": "-5", "price": "2.99", "market_value": "-1495.00"}


@pytest.mark.parametrize(
    ("said", "doubt"),
    [
        ({}, ""),
        ({"quantity": "10", "price": "0.01", "market_value": "10.00"}, ""),
        ({"price": "2.994"}, ""),
        ({"contract": {"plain": False}}, "adjusted"),
        ({"market_value": "-149.50"}, "multiplier not known"),
        ({"market_value": "-2990.00"}, "multiplier not known"),
        ({"market_value": "1495.00"}, "multiplier not known"),
        ({"market_value": "missing"}, "no quantity, price or value"),
        ({"price": "missing"}, "no quantity, price or value"),
        ({"quantity": ""}, "no quantity, price or value"),
        ({"price": "0.00", "market_value": "0.00"}, "no quantity, price or value"),
    ],
)
def test_a_payoff_needs_a_plain_contract_whose_value_shows_its_hundred_shares(
    reads: Callable[[str], Any], said: dict[str, Any], doubt: str
) -> None:
    found = reads(f"doubtOf({json.dumps({**CONTRACT, **said})})")
    assert doubt in found
    assert bool(found) is bool(doubt)

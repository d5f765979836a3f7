"""The paper exchange for other machines: keys of one's own, for some accounts, and a client over plain http."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from databases import left_open
from paper.serving import COMMAND, Served, command, started
from paper.support import Opening, http
from positions_mcp.api import PositionsClient
from positions_mcp.cli import main
from positions_mcp.cli.commands import program
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.ids import AccountId
from positions_mcp.paper import PaperError
from positions_mcp.paper.replaying import Replay
from positions_mcp.settings.model import PaperSettings

OWN = "desk.secret"


@pytest.mark.parametrize(
    ("keys", "opens"),
    [
        (["a.1"], {"a.1": {19816: 200, 19817: 200}}),
        (["a.1:19816"], {"a.1": {19816: 200, 19817: 403}}),
        (["a.1:19816", "a.1:19817"], {"a.1": {19816: 200, 19817: 200}}),
        (["a.1:19816", "b.2:19817"], {"a.1": {19816: 200, 19817: 403}, "b.2": {19816: 403, 19817: 200}}),
        (["a.1:19816", "a.1"], {"a.1": {19816: 200, 19817: 200}}),
        (["a.1"], {"paper.key": {19816: 401}}),
    ],
)
async def test_a_key_opens_the_accounts_that_it_names(
    opened: Opening, keys: list[str], opens: dict[str, dict[int, int]]
):
    exchange = opened("demo", accounts=[19816, 19817], keys=keys)
    for key, accounts in opens.items():
        async with http(exchange, key) as client:
            for account, status in accounts.items():
                for what in ("positions", "balances", "orders"):
                    assert (await client.get(f"/v1/accounts/{account}/{what}")).status_code == status
            listed = await client.get("/v1/accounts")
        if listed.status_code == 200:
            assert [row["id"] for row in listed.json()["data"]] == [n for n, s in accounts.items() if s == 200]


@pytest.mark.parametrize("key", ["", ":", ":19816", "a.1:", "a.1:x", "a.1:0", "a 1", "ä.1", "a.1:-1"])
def test_what_is_no_key_is_said(opened: Opening, tmp_path: Path, key: str):
    with pytest.raises(PaperError, match="key") as refusal:
        opened("demo", keys=[key])
    assert refusal.traceback  # which keeps what was opened until here
    assert left_open(tmp_path / "data" / "paper.sqlite") == 0


def test_another_host_needs_a_key_of_ones_own(tmp_path: Path):
    for keys in ((), ("--key", "paper.key"), ("--key", "a.1", "--key", "paper.key:19816")):
        refused = command("serve", "--host", "0.0.0.0", *keys, data_dir=tmp_path)  # is what is refused
        assert refused.returncode == 2
        assert "of your own" in refused.stderr
    unknown = command("serve", "--key", "a.1:4711", data_dir=tmp_path)
    assert (unknown.returncode, "account 4711" in unknown.stderr) == (2, True)


def test_where_others_can_reach_it_the_control_endpoint_asks_for_the_key_too(tmp_path: Path):
    everywhere = "0.0.0.0"  # what a container listens on
    with started("--host", everywhere, "--key", OWN, "--data-dir", str(tmp_path)) as process:
        served = Served.of(process, tmp_path)
        url = served.url.replace(everywhere, "127.0.0.1")
        for path in ("/paper/status", "/paper/faults", "/paper/effects", "/paper/clock"):
            assert httpx.get(f"{url}{path}").status_code == 401
            assert httpx.get(f"{url}{path}", headers={"Authorization": f"Bearer {OWN}"}).status_code == 200
        assert httpx.post(f"{url}/paper/faults", json={"kind": "refuse"}).status_code == 401


def test_serving_elsewhere_warns(tmp_path: Path):
    with subprocess.Popen(
        [*COMMAND, "serve", "--host", "0.0.0.0", "--key", OWN, "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.terminate()
        assert process.stderr.readline().startswith("Warning: whoever reaches 0.0.0.0 and has a key")


def test_a_key_of_ones_own_is_not_printed_for_logs_keep_what_is(tmp_path: Path):
    with subprocess.Popen(
        [*COMMAND, "serve", "--key", OWN, "--data-dir", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(6))
        process.terminate()
    assert "ClearStreet(api_key='KEY'" in said
    assert OWN not in said


async def test_the_client_speaks_plain_http_only_where_it_is_told_that_it_is_paper(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="not https"):
        PositionsClient("http://paper:8080", OWN)
    async with PositionsClient("http://paper:8080", OWN, plain_http=True):
        pass
    with started("--key", OWN, "--data-dir", str(tmp_path)) as process:
        async with PositionsClient(Served.of(process, tmp_path).url, OWN, plain_http=True) as client:
            assert (await client.get_positions(AccountId(19816))).data


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize(
    "url",
    [
        "https://api.clearstreet.com",
        "http://api.clearstreet.com",
        "http://API.ClearStreet.com:80",
        "https://paper:8080",
        "paper:8080",
        "http://",
        "http://user:secret@paper",
        "http://paper/v1",
        "http://paper?x=1",
        "http://paper:port",
        "",
    ],
)
def test_no_real_account_can_be_named_as_paper(url: str):
    with pytest.raises(ValueError, match="the http:// address of a paper exchange"):
        PaperSettings(url=url)


def test_a_newcomer_in_the_evening_is_told_how_to_go_on(opened: Opening, tmp_path: Path):
    where = tmp_path / "data"
    opened("demo").close()
    command("clock", "set", "2030-11-29T20:15", data_dir=where)
    hint = (
        "The market is closed until Monday 2030-12-02 09:30 New York: closing orders wait (QUEUED). "
        f"To go on now, set the paper clock: {program()} paper clock set --data-dir {where} 2030-12-02T10:00 --running"
    )
    assert hint in command("clock", data_dir=where).stdout
    assert hint in command("status", data_dir=where).stdout
    assert main(hint.partition(program())[2].split()) == 0
    assert "the market is open" in command("clock", data_dir=where).stdout
    assert "The market is closed" not in command("status", data_dir=where).stdout


@pytest.mark.parametrize(
    "words",
    [("status",), ("fault", "500"), ("clock", "real"), ("reset",), ("snapshot", "a"), ("market", "halt", "KO")],
)
@pytest.mark.parametrize("said", ["variable", "file"])
def test_where_the_exchange_is_elsewhere_no_book_is_begun_here(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    where, config = tmp_path / "data", tmp_path / "firm.toml"
    config.write_text('[paper]\nurl = "http://paper:8080"\n')
    monkeypatch.setenv("POSITIONS_MCP_DATA_DIR", str(where))
    if said == "variable":
        monkeypatch.setenv("POSITIONS_MCP_PAPER__URL", "http://paper:8080")
    given = ["--config", str(config)] if said == "file" else []
    assert main(["paper", *words, *given]) == 2
    assert "The paper exchange is at http://paper:8080 (paper.url)" in capsys.readouterr().err
    assert not where.exists()
    if words == ("status",):
        assert main(["paper", *words, *given, "--data-dir", str(where)]) == 0


def test_the_book_is_where_the_configuration_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "mine.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    assert main(["paper", "clock", "set", "2030-11-29T10:15", "--config", str(config)]) == 0
    assert "2030-11-29" in command("clock", data_dir=tmp_path / "data").stdout


def test_a_port_in_use_is_told_in_one_line_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replay, "read", lambda _: Replay([]))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words in (["serve", "--data-dir", str(tmp_path)], ["replay", "session.jsonl"]):
            assert main(["paper", *words, "--port", str(port)]) == 2
            said = f"port {port} on 127.0.0.1 cannot be used: Address already in use; give another"
            assert capsys.readouterr().err == f"positions-mcp paper: {said}\n"

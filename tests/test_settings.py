"""Where settings come from, what they may be, and what is said of a wrong one."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.settings import live_access, load
from positions_mcp.settings.live import LIVE_URL

LIVE = {"mode": "live", "accounts": [7]}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("POSITIONS_MCP_", "CLEAR_STREET_")):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file for the user's configuration, empty so far."""
    file = tmp_path / "mine.toml"
    file.touch()
    return file


@pytest.mark.requirement("G-15")
def test_without_any_setting_it_is_paper_with_the_paper_account_and_the_documented_limits() -> None:
    settings = load()
    assert (settings.mode, settings.allowed_accounts, settings.trading_enabled) == (Mode.PAPER, (19816,), True)
    assert (settings.api.contract, settings.api.write_timeout_s, settings.approval.wait_s) == ("auto", 30, 45)
    policy = settings.policy
    assert (policy.channel, policy.desk_above, policy.tolerance) == (Channel.ELICITATION, None, Decimal("0.1"))
    assert policy.accounts == frozenset({19816})


@pytest.mark.requirement("G-15")
def test_live_is_read_only_and_large_amounts_need_the_desk_until_a_person_says_otherwise() -> None:
    settings = load(LIVE)
    assert (settings.trading_enabled, settings.policy.trading_enabled) == (False, False)
    assert settings.policy.desk_above == 0
    assert load({**LIVE, "trading": {"enabled": True}}).policy.trading_enabled


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize("none", ["none", "NONE", " none "])
def test_in_live_three_limits_are_chosen_by_number_or_by_none_and_paper_asks_for_no_choice(none: str) -> None:
    names = ("max_notional", "max_daily_notional", "max_positions")
    settings = load(LIVE)
    assert settings.policy.limits_to_choose == tuple(f"trading.{name}" for name in names)
    for name in names:
        others = {other: none for other in names if other != name}
        assert load({**LIVE, "trading": others}).policy.limits_to_choose == (f"trading.{name}",)
        chosen = load({**LIVE, "trading": {**others, name: 3}}).policy
        assert chosen.limits_to_choose == ()
        assert [getattr(chosen, other) for other in names] == [3 if other == name else None for other in names]
    assert load().policy.limits_to_choose == ()


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_defaults(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('accounts = [1]\n[api]\ncontract = "seed"\nwrite_timeout_s = 5\n[trading]\nmax_positions = 3\n')
    assert load(config=config).allowed_accounts == (1,)
    monkeypatch.setenv("POSITIONS_MCP_ACCOUNTS", "[2]")
    monkeypatch.setenv("POSITIONS_MCP_API__CONTRACT", "current")
    settings = load({"accounts": [3], "mode": None}, config=config)
    assert settings.allowed_accounts == (3,)
    assert (settings.api.contract, settings.api.write_timeout_s, settings.trading.max_positions) == ("current", 5, 3)
    assert load(config=config).allowed_accounts == (2,)


FORMS = {
    "MODE": "paper or live",
    "ACCOUNTS": "different account numbers, such as 19816 or 19816,19817",
    "DATA_DIR": "the path of a folder",
    "STORE__URL": "a PostgreSQL URL: postgresql://USER@HOST/DATABASE",
    "STORE__ANCHOR_DIR": "the path of a folder",
    "API__CONTRACT": "auto, seed, summer or current",
    "API__WRITE_TIMEOUT_S": "more than 0 seconds, at most 600, such as 30",
    "API__HOSTS": "names of hosts, such as gateway.example.com",
    "API__MAX_REQUESTS": "a whole number, 1 or more, such as 20",
    "PAPER__URL": "the http:// address of a paper exchange that runs elsewhere, such as http://paper:8080",
    "PAPER__KEY": "the key of that exchange",
    "PAPER__SCENARIO": "demo, expiry, large, rough, empty, or the path of a .toml file",
    "PAPER__CONTRACT": "auto, seed, summer or current",
    "TRADING__ENABLED": "true or false",
    "TRADING__ALLOW_INSTRUMENTS": "symbols, such as AAPL,KO or in a file",
    "TRADING__DENY_INSTRUMENTS": "symbols, such as AAPL,KO or in a file",
    "TRADING__MAX_NOTIONAL": "dollars as a plain number, 0 or more, such as 50000, or none",
    "TRADING__MAX_DAILY_NOTIONAL": "dollars as a plain number, 0 or more, such as 50000, or none",
    "TRADING__MAX_POSITIONS": "a whole number, 1 or more, such as 20, or none",
    "TRADING__ALLOW_CLOSE_ALL": "true or false",
    "TRADING__ALLOW_UNCOVERED": "true or false",
    "TRADING__EXERCISE_DEADLINE": "a New York time up to 17:30, such as 16:30",
    "TRADING__TOLERANCE": "a fraction from 0 to 1, such as 0.10",
    "TRADING__OPTION_TOLERANCE": "a fraction from 0 to 1, such as 0.02",
    "TRADING__MAX_OPEN_PLANS_PER_CALLER": "a whole number, 1 or more, such as 20",
    "TRADING__MAX_OPEN_PLANS": "a whole number, 1 or more, such as 20",
    "TRADING__MAX_OPERATIONS_PER_MINUTE": "a whole number, 1 or more, such as 20, or none",
    "TRADING__MAX_OPERATIONS_PER_DAY": "a whole number, 1 or more, such as 20, or none",
    "TRADING__HALT_AFTER": "a whole number, 1 or more, such as 20",
    "LIMITS__ACCOUNTS": 'tables in a --config file, such as [limits.accounts."19816"]',
    "LIMITS__CALLERS": 'tables in a --config file, such as [limits.callers."claude-desktop"]',
    "LIMITS__RIGHTS": "tables in a --config file, such as [limits.rights.traders]",
    "APPROVAL__CHANNEL": "elicitation or desk",
    "APPROVAL__DESK_ABOVE": "dollars as a plain number, 0 or more, such as 50000",
    "TRADING__BOOK_LAG_S": "0 or more seconds, at most 600, such as 30",
    "APPROVAL__GIVE_UP_ABOVE": "dollars as a plain number, 0 or more, such as 50000",
    "APPROVAL__TWO_PERSONS_ABOVE": "dollars as a plain number, 0 or more, such as 50000, or none",
    "APPROVAL__TWO_PERSONS_FOR_CLOSE_ALL": "true or false",
    "APPROVAL__WAIT_S": "0 or more seconds, at most 600, such as 30",
    "DESK__ENABLED": "true or false",
    "DESK__PUBLIC_URL": "the https:// address of a desk that others reach, such as https://desk.example.com",
    "DESK__PORT": "a port from 1 to 65535, or 0 for any",
    "HTTP__MAX_SESSIONS_PER_CALLER": "a whole number, 0 or more, such as 20",
    "HTTP__MAX_REQUESTS_AT_ONCE": "a whole number, 1 or more, such as 20",
    "HTTP__MAX_REQUESTS_PER_MINUTE": "a whole number, 1 or more, such as 20, or none",
    "HTTP__GRACE_S": "0 or more seconds, at most 600, such as 30",
    "LOG__FORMAT": "text or json",
    "HTTP__PUBLIC_URL": "the https:// address at which clients find the server",
    "OAUTH__ISSUER": "an https:// address, such as https://login.example.com, exactly as tokens have it",
    "OAUTH__AUDIENCE": "what tokens for this server have as audience; http.public_url if left out",
    "OAUTH__JWKS_URL": "an https:// address, such as https://login.example.com/jwks",
    "OAUTH__ALGORITHMS": "some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
    "OAUTH__LEEWAY_S": "0 to 120 seconds, such as 30",
    "OAUTH__FIRST_CHALLENGE": "all or needed",
    "OAUTH__RIGHTS": "tables in a --config file, such as [oauth.rights.traders]",
}
"""Every setting, and the form that a message about it must name."""

WRONG = {
    "MODE": ["prod", "LIVE", "paper,live"],
    "ACCOUNTS": ["abc", "0", "-7", "7,7", "7;8", "[7, 7]", "[true]", "5.0", "{}", "[[7]]", ",", "99999999999999999999"],
    "STORE__URL": ["mysql://secret@host/db", "secret"],
    "API__CONTRACT": ["new", "[]"],
    "API__WRITE_TIMEOUT_S": ["0", "-1", "601", "nan", "inf", "30s", "1,5"],
    "PAPER__CONTRACT": ["winter"],
    "API__HOSTS": ["https://host", "a b", "*"],
    "PAPER__URL": ["https://api.clearstreet.com", "http://api.clearstreet.com", "paper:8080", "http://paper/v1"],
    "TRADING__ENABLED": ["perhaps", "2", "[true]"],
    "TRADING__ALLOW_INSTRUMENTS": ["AAPL;KO", "[1]", "AAPL|KO", '[{"a":1}]'],
    "TRADING__DENY_INSTRUMENTS": ["AAPL;KO", "[true]", "[null]"],
    "TRADING__MAX_NOTIONAL": ["-1", "nan", "Infinity", "$5", "50,000", "fifty", "true"],
    "TRADING__MAX_DAILY_NOTIONAL": ["-0.01", "1 000"],
    "TRADING__MAX_POSITIONS": ["0", "1.5", "many", "[1]"],
    "TRADING__ALLOW_CLOSE_ALL": ["maybe"],
    "TRADING__ALLOW_UNCOVERED": ["-"],
    "TRADING__EXERCISE_DEADLINE": ["17:31", "16", "57600", "5 pm", "16:00Z", "24:00"],
    "TRADING__TOLERANCE": ["10%", "-0.1", "1.01", "10"],
    "TRADING__OPTION_TOLERANCE": ["2%", "-0.1", "1.01", "2"],
    "TRADING__MAX_OPERATIONS_PER_MINUTE": ["0", "-1", "2.5", "many", "true"],
    "TRADING__MAX_OPERATIONS_PER_DAY": ["0", "all"],
    "LIMITS__ACCOUNTS": ["19816", "{}"],
    "LIMITS__CALLERS": ["claude-desktop"],
    "TRADING__HALT_AFTER": ["0", "never"],
    "APPROVAL__CHANNEL": ["none"],
    "APPROVAL__DESK_ABOVE": ["-1", "none"],
    "APPROVAL__TWO_PERSONS_ABOVE": ["-1", "two", "50,000"],
    "APPROVAL__TWO_PERSONS_FOR_CLOSE_ALL": ["two"],
    "TRADING__BOOK_LAG_S": ["-1", "900", "soon"],
    "APPROVAL__WAIT_S": ["-1", "900", "forever"],
    "DESK__ENABLED": ["perhaps"],
    "DESK__PORT": ["-1", "65536", "8421.5", "http", "true"],
    "HTTP__MAX_SESSIONS_PER_CALLER": ["-1", "2.5", "many", "true"],
    "HTTP__PUBLIC_URL": [
        "http://trading.example.com",
        "trading.example.com",
        "https://a@b.c",
        "https://b.c/?x",
        "ftp://x",
    ],
    "OAUTH__ISSUER": ["http://login.example.com", "login", "https://login.example.com/#x", "https:///x", "https://a b"],
    "OAUTH__JWKS_URL": ["http://login.example.com/jwks", "file:///etc/passwd", "https://b.c:x/"],
    "OAUTH__ALGORITHMS": ["none", "HS256", "RS256,HS256", "rs256", ","],
    "OAUTH__LEEWAY_S": ["-1", "121", "nan", "soon", "true"],
    "OAUTH__FIRST_CHALLENGE": ["ALL", "some"],
    "OAUTH__RIGHTS": ["traders", "{}"],
}
FROM_ELSEWHERE = {
    "has quotes around its value": ['"19816"', "'19816'", "“19816”", '"AAPL","KO"'],
    "is a placeholder": [
        "${user_config.value}",
        "postgresql://${USER}@host/db",
        "$VALUE",
        "%VALUE%",
        "{{ value }}",
        "<your value>",
    ],
}
PYTHON = ("Input should", "tuple", "Decimal", "EnvSettingsSource", "JSON", "pydantic", "None", "Path(", "['", "True")


def refusal(**arguments: Any) -> str:
    """What is said of settings that are not allowed: always without the words of a library."""
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    said = str(caught.value)
    assert not [word for word in PYTHON if word in said], said
    return said


def nested(variable: str, value: Any) -> dict[str, Any]:
    """The setting of a variable as the command line or a file says it."""
    *section, name = variable.lower().split("__")
    return {section[0]: {name: value}} if section else {name: value}


def write(config: Path, variable: str, value: str) -> None:
    """The file with that setting alone."""
    *section, name = variable.lower().split("__")
    config.write_text((f"[{section[0]}]\n" if section else "") + f"{name} = {json.dumps(value)}\n")


def test_every_setting_has_a_form_that_messages_name() -> None:
    listed = (Path(__file__).parents[1] / "config" / "default.toml").read_text(encoding="utf-8")
    settings = {*re.findall(r"^(?:# )?([a-z_]+) = ", listed, re.MULTILINE)}
    assert {variable.lower().split("__")[-1] for variable in FORMS} == settings


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_value_is_named_with_its_variable_and_the_form_it_takes(variable: str, value: str) -> None:
    said = refusal(environment={f"POSITIONS_MCP_{variable}": value})
    assert said.startswith(f"POSITIONS_MCP_{variable}")
    assert f"is not allowed. It takes {FORMS[variable]}" in said
    assert (value.replace('"', "'") in said) is (variable != "STORE__URL")


@pytest.mark.parametrize("variable", FORMS)
def test_quotes_and_placeholders_are_refused_by_name_from_every_source(variable: str, config: Path) -> None:
    for said, values in FROM_ELSEWHERE.items():
        for value in values:
            found = refusal(environment={f"POSITIONS_MCP_{variable}": value})
            assert found.startswith(f"POSITIONS_MCP_{variable} {said}")
            assert FORMS[variable] in found
            assert refusal(options=nested(variable, value)).startswith("--")
            write(config, variable, value)
            assert f"in the file {config} {said}" in refusal(config=config)


@pytest.mark.parametrize("variable", FORMS)
def test_an_empty_variable_is_not_set_and_a_blank_value_elsewhere_is_refused(variable: str, config: Path) -> None:
    defaults = load(environment={})
    for blank in ("", " ", "\r\n", "\t"):
        assert load(environment={f"POSITIONS_MCP_{variable}": blank}) == defaults
        assert "is blank: leave it out" in refusal(options=nested(variable, blank))
        write(config, variable, blank)
        assert f"in the file {config} is blank" in refusal(config=config)


@pytest.mark.parametrize("around", ["{}\r\n", " {} ", "\ufeff{}", "\t{}\n", "{}\u200b"])
def test_what_stands_around_a_value_is_left_out(around: str) -> None:
    values = {
        "MODE": "live",
        "ACCOUNTS": "7",
        "API__CONTRACT": "seed",
        "TRADING__MAX_NOTIONAL": "50",
        "TRADING__ENABLED": "true",
        "TRADING__EXERCISE_DEADLINE": "16:00",
        "STORE__URL": "postgresql://me@host/db",
        "DATA_DIR": "/somewhere",
    }
    settings = load(environment={f"POSITIONS_MCP_{name}": around.format(value) for name, value in values.items()})
    assert (settings.mode, settings.accounts, settings.api.contract) == (Mode.LIVE, (7,), "seed")
    assert (settings.trading.max_notional, settings.trading.enabled) == (50, True)
    assert (settings.trading.exercise_deadline, settings.data_dir) == (time(16), Path("/somewhere"))
    assert settings.store.url is not None
    assert settings.store.url.get_secret_value() == "postgresql://me@host/db"


@pytest.mark.parametrize("text", ["7,8", "7, 8", "[7,8]", "[7, 8]", '["7", "8"]', " 7 ,8,", "7,\r\n8"])
def test_a_list_is_written_with_commas_or_in_brackets(text: str, config: Path) -> None:
    assert load(environment={"POSITIONS_MCP_ACCOUNTS": text}).accounts == (7, 8)
    assert load({"accounts": [text]}, environment={}).accounts == (7, 8)
    config.write_text(f"accounts = {json.dumps(text)}")
    assert load(config=config, environment={}).accounts == (7, 8)


@pytest.mark.parametrize("text", ["AAPL,KO", "AAPL, KO", '["AAPL","KO"]', "[AAPL,KO]", "AAPL,KO,", " AAPL ,KO"])
def test_a_list_of_symbols_is_written_with_commas_or_in_brackets(text: str) -> None:
    for name in ("allow_instruments", "deny_instruments"):
        settings = load(environment={f"POSITIONS_MCP_TRADING__{name.upper()}": text})
        assert getattr(settings.trading, name) == {"AAPL", "KO"}
    assert load(environment={"POSITIONS_MCP_TRADING__DENY_INSTRUMENTS": "BRK/B"}).trading.deny_instruments == {"BRK/B"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('mode = "prod"', 'mode in the file {} = "prod" is not allowed. It takes paper or live.'),
        ("mode = 1", "mode in the file {} = 1 is not allowed"),
        ("mode = true", "mode in the file {} = true is not allowed"),
        ("mode = {}", "mode in the file {} = a table is not allowed"),
        ("accounts = [true]", "accounts in the file {} = [true] is not allowed"),
        ("accounts = [1.0]", "accounts in the file {} = [1.0] is not allowed"),
        ("data_dir = 3", "data_dir in the file {} = 3 is not allowed"),
        ('data_dir = "a\\u0000b"', "data_dir in the file {}"),
        ('trading = "all"', "trading in the file {} is a section. Write [trading] and its settings below it."),
        ("[trading]\nenabled = 1", "trading.enabled in the file {} = 1 is not allowed"),
        ("[trading]\nmax_positions = true", "trading.max_positions in the file {} = true is not allowed"),
        ("[trading]\nmax_notional = true", "trading.max_notional in the file {} = true is not allowed"),
        ("[trading]\nexercise_deadline = 16", "trading.exercise_deadline in the file {} = 16 is not allowed"),
        ("[trading]\ndeny_instruments = [1]", "trading.deny_instruments in the file {} = [1] is not allowed"),
        ("[approval]\nwait_s = false", "approval.wait_s in the file {} = false is not allowed"),
        ("[trading]\nmax_notionl = 3", "trading.max_notionl in the file {} is not a setting. "),
        ("[trading]\nmax_notionl = 3", "Did you mean trading.max_notional?"),
        ("zzz = 1", "Known: accounts, api.contract,"),
        ("[", "The configuration {} is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_key(text: str, said: str, config: Path) -> None:
    config.write_text(text)
    assert said.replace("{}", str(config)) in refusal(config=config, environment={})


@pytest.mark.parametrize(
    "contents",
    [
        b'\xef\xbb\xbfmode = "paper"\r\naccounts = [7]\r\n',
        'mode = "paper"\r\naccounts = [7]\r\n'.encode("utf-16"),
        "\ufeffaccounts = [7]".encode("utf-16-be"),
        b"accounts = [7]\r\n",
    ],
)
def test_a_file_saved_on_windows_is_read(contents: bytes, config: Path) -> None:
    config.write_bytes(contents)
    assert load(config=config, environment={}).accounts == (7,)


def test_a_wrong_option_is_named_as_one_and_a_missing_file_as_missing(tmp_path: Path) -> None:
    assert refusal(options={"mode": "prod"}) == '--mode = "prod" is not allowed. It takes paper or live.'
    assert refusal(options={"accounts": ["x"]}).startswith("--account = [")
    assert "No such file" in refusal(config=tmp_path / "none.toml")
    assert "Is a directory" in refusal(config=tmp_path)


def test_an_unknown_variable_is_refused_with_the_nearest_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONS_MCP_TRADING__ENABLE", "true")
    with pytest.raises(ConfigurationError, match="Did you mean POSITIONS_MCP_TRADING__ENABLED"):
        load()


@pytest.mark.requirement("G-15")
def test_live_needs_accounts_and_a_key_and_says_where_to_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"Live mode needs the accounts.*POSITIONS_MCP_ACCOUNTS"):
        load({"mode": "live"})
    with pytest.raises(ConfigurationError, match=r"Live mode needs the API key.*CLEAR_STREET_API_KEY"):
        live_access()
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    assert live_access().base_url == "https://api.clearstreet.com"


class Locked(Exception):
    """What the library of the extra `keyring` raises where nobody has unlocked it."""


@pytest.mark.parametrize("said", ["id.secret", "", None, Locked()])
def test_a_key_of_the_systems_keyring_is_used_and_a_locked_one_is_not_called_empty(
    said: str | Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def password(service: str, name: str) -> str | None:
        assert (service, name) == ("positions-mcp", "api-key")
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=password))
    monkeypatch.setitem(sys.modules, "keyring.errors", SimpleNamespace(KeyringError=Locked))
    if said == "id.secret":
        assert live_access().api_key.get_secret_value() == said
        return
    with pytest.raises(ConfigurationError, match=r"keyring gives no key \(Locked\)" if said else "needs the API key"):
        live_access()


@pytest.mark.requirement("A-05")
def test_the_key_comes_from_one_place_and_appears_in_no_representation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("id.secret\n")
    monkeypatch.setenv("CLEAR_STREET_API_KEY_FILE", str(file))
    access = live_access()
    assert access.api_key.get_secret_value() == "id.secret"
    assert "secret" not in f"{access!r} {access} {access.model_dump_json()}"
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.other")
    with pytest.raises(ConfigurationError, match="Unset one") as caught:
        live_access()
    assert "id." not in str(caught.value)
    monkeypatch.delenv("CLEAR_STREET_API_KEY")
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        live_access()


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.clearstreet.com/", True),
        ("https://eu.api.clearstreet.com/", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://localhost", False),
        ("api.example.com", False),
        ("https://", False),
        ("https://[", False),
        ("https://api.clearstreet.com@example.com", False),
    ],
)
def test_live_speaks_https_unless_it_is_this_machine(url: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    if allowed:
        assert live_access().base_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigurationError, match="CLEAR_STREET_BASE_URL is not an address"):
            live_access()


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://gw.clearstreet.com/v1", "https://gw.clearstreet.com"),
        ("https://gw.clearstreet.com/v1/", "https://gw.clearstreet.com"),
        (" https://gw.clearstreet.com/v1\r\n", "https://gw.clearstreet.com"),
        ("https://gw.clearstreet.com//", "https://gw.clearstreet.com"),
        ("https://gw.clearstreet.com/a/v1", "https://gw.clearstreet.com/a"),
        ("", "https://api.clearstreet.com"),
        (" ", "https://api.clearstreet.com"),
    ],
)
def test_a_version_at_the_end_of_the_address_is_left_out_and_an_empty_address_is_not_set(
    url: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    assert live_access().base_url == base


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://clearstreet.com.example.com",
        "https://notclearstreet.com",
        "https://example.com/api.clearstreet.com",
        "https://10.0.0.1",
        "https://[2001:db8::1]",
        "https://[fd00::a]:8443",
    ],
)
def test_the_live_key_goes_to_no_other_host_unless_a_person_lists_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    host = urlsplit(url).hostname or ""
    with pytest.raises(ConfigurationError, match="is not one of Clear Street's hosts") as caught:
        live_access()
    assert f'api.hosts = ["{host}"]' in str(caught.value)
    listed = load({"api": {"hosts": [host.upper()]}}).api.hosts
    assert live_access(listed).base_url == url


@pytest.mark.parametrize(
    "url", ["https://api.clearstreet.com:port", "https://api.clearstreet.com:99999", "https://[::1", "api"]
)
def test_an_address_that_is_none_names_its_variable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    with pytest.raises(ConfigurationError, match="CLEAR_STREET_BASE_URL is not an address of the live API"):
        live_access()


@pytest.mark.parametrize(
    "url",
    [
        "https://API.ClearStreet.com",
        "https://api.clearstreet.com.",
        "https://api.clearstreet.com:443/v1/",
        "HTTPS://api.clearstreet.com",
    ],
)
def test_the_address_of_the_live_api_is_the_same_in_every_spelling(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    assert live_access().base_url == LIVE_URL


@pytest.mark.parametrize(
    ("listed", "hosts"),
    [
        (["Gateway.Example.com."], {"gateway.example.com"}),
        (["2001:DB8:0::1", "[::1]"], {"2001:db8::1", "::1"}),
        (["10.0.0.1"], {"10.0.0.1"}),
    ],
)
def test_a_listed_host_is_the_same_in_every_spelling(listed: list[str], hosts: set[str]) -> None:
    assert load({"api": {"hosts": listed}}).api.hosts == hosts


@pytest.mark.parametrize(
    "wrong", ["https://a.example", "a.example:443", "a.example/v1", "a b", ":", "1:2:3", "*.example"]
)
def test_what_is_no_name_of_a_host_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"It takes names of hosts, such as gateway\.example\.com"):
        load({"api": {"hosts": [wrong]}})


KEY_VARIABLES = ["CLEAR_STREET_API_KEY", "CLEAR_STREET_API_KEY_FILE", "CLEAR_STREET_BASE_URL"]


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize("variable", KEY_VARIABLES)
@pytest.mark.parametrize(
    "value", ['"id.secret"', "'id.secret'", "${CLEAR_STREET_API_KEY}", "${input:id.secret}", "$KEY", "<id.secret>"]
)
def test_quotes_and_placeholders_are_never_sent_as_the_key(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable} (has quotes|is a placeholder).*It takes") as caught:
        live_access()
    assert "input:id.secret" not in str(caught.value)
    assert "<id" not in str(caught.value)


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize(
    "key", ["Bearer id.topsecret", "CLEAR_STREET_API_KEY=id.topsecret", "topsecret b", "topsécret"]
)
def test_what_cannot_be_a_key_is_refused_by_the_name_of_its_variable_and_not_repeated(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", key)
    with pytest.raises(ConfigurationError, match="CLEAR_STREET_API_KEY ") as caught:
        live_access()
    assert "topsecret" not in str(caught.value)
    file = tmp_path / "key"
    file.write_text(key)
    monkeypatch.delenv("CLEAR_STREET_API_KEY")
    monkeypatch.setenv("CLEAR_STREET_API_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match="CLEAR_STREET_API_KEY_FILE ") as caught:
        live_access()
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    "contents",
    [b"id.secret", b"\xef\xbb\xbfid.secret\r\n", "id.secret\r\n".encode("utf-16"), b" id.secret \n\n", b"id.secret\t"],
)
def test_a_key_file_is_read_as_editors_save_it(
    contents: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(contents)
    monkeypatch.setenv("CLEAR_STREET_API_KEY_FILE", f" {file}\n")
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "")
    assert live_access().api_key.get_secret_value() == "id.secret"


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"\xff\xfe\xff", "it is not text"),
        (b'"id.secret"', "has quotes"),
        (b"id.secret\nid.other", "has spaces, line ends"),
        (b"${CLEAR_STREET_API_KEY}", "is a placeholder"),
    ],
)
def test_a_key_file_without_a_key_is_refused_by_name(
    contents: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(contents)
    monkeypatch.setenv("CLEAR_STREET_API_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match=f"CLEAR_STREET_API_KEY_FILE.*{said}"):
        live_access()


@pytest.mark.requirement("A-05")
def test_the_password_in_a_store_url_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONS_MCP_STORE__URL", "postgresql://me:pass@host/db")
    settings = load()
    assert settings.store.url is not None
    assert settings.store.url.get_secret_value().endswith("host/db")
    assert "pass" not in repr(settings)


def test_the_policy_has_every_limit_that_the_settings_have(config: Path) -> None:
    limits: dict[str, Any] = {
        "max_notional": Decimal("1000.10"),
        "max_daily_notional": Decimal(5000),
        "max_positions": 4,
        "max_open_plans_per_caller": 7,
        "max_open_plans": 70,
        "max_operations_per_minute": 5,
        "max_operations_per_day": 50,
        "halt_after": 2,
        "book_lag_s": 30.0,
        "allow_close_all": False,
        "allow_uncovered": True,
        "allow_instruments": frozenset({"AAPL"}),
        "deny_instruments": frozenset({"TSLA"}),
        "tolerance": Decimal("0.05"),
    }
    policy = load({"trading": limits, "approval": {"channel": "desk", "desk_above": 9}}).policy
    assert {name: getattr(policy, name) for name in limits} == limits
    assert (policy.channel, policy.desk_above) == (Channel.DESK, 9)


@pytest.mark.requirement("I-03")
def test_the_exercise_deadline_may_be_earlier_and_never_later(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().policy.exercise_deadline == time(17, 30)
    monkeypatch.setenv("POSITIONS_MCP_TRADING__EXERCISE_DEADLINE", "16:15")
    assert load().policy.exercise_deadline == time(16, 15)
    monkeypatch.setenv("POSITIONS_MCP_TRADING__EXERCISE_DEADLINE", "17:31")
    with pytest.raises(ConfigurationError, match="up to 17:30"):
        load()

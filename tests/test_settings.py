"""Where settings come from, what they may be, and what is said of a wrong one."""

from __future__ import annotations

import os
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.settings import live_access, load

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
    assert settings.policy.desk_above == 25000
    assert load({**LIVE, "trading": {"enabled": True}}).policy.trading_enabled


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


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("POSITIONS_MCP_MODE", "prod", "mode = 'prod' is not allowed: Input should be 'paper' or 'live'."),
        ("POSITIONS_MCP_MODE", "", "mode = '' is not allowed"),
        ("POSITIONS_MCP_ACCOUNTS", "19816", "accounts = 19816 is not allowed"),
        ("POSITIONS_MCP_ACCOUNTS", "abc", "POSITIONS_MCP_ACCOUNTS is not JSON: 'abc'. A list is written [19816]."),
        ("POSITIONS_MCP_ACCOUNTS", "[0]", "different positive account numbers"),
        ("POSITIONS_MCP_ACCOUNTS", "[7, 7]", "different positive account numbers"),
        ("POSITIONS_MCP_API__CONTRACT", "new", "Input should be 'auto', 'seed' or 'current'."),
        ("POSITIONS_MCP_API__WRITE_TIMEOUT_S", "0", "greater than 0"),
        ("POSITIONS_MCP_TRADING__ENABLED", "perhaps", "valid boolean"),
        ("POSITIONS_MCP_TRADING__MAX_NOTIONAL", "-1", "greater than or equal to 0"),
        ("POSITIONS_MCP_APPROVAL__CHANNEL", "none", "'elicitation' or 'desk'"),
        ("POSITIONS_MCP_PAPER__CONTRACT", "auto", "'seed' or 'current'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed_and_the_variable_it_came_from(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert said in str(caught.value)
    assert variable in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('mode = "prod"', "mode = 'prod' is not allowed"),
        ("[trading]\nmax_notionl = 3", "trading.max_notionl"),
        ("[trading]\nmax_notionl = 3", "Did you mean trading.max_notional?"),
        ("zzz = 1", "Known: accounts, api,"),
        ("[", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_key(text: str, said: str, config: Path) -> None:
    config.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(config=config)
    assert said in str(caught.value)
    assert str(config) in str(caught.value)


def test_a_wrong_option_is_named_as_one_and_a_missing_file_as_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mode = 'prod'.*the command line \(--mode\)"):
        load({"mode": "prod"})
    with pytest.raises(ConfigurationError, match="No such file"):
        load(config=tmp_path / "none.toml")


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
        ("https://api.example.com/", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://localhost", False),
        ("api.example.com", False),
        ("", False),
    ],
)
def test_live_speaks_https_unless_it_is_this_machine(url: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "id.secret")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", url)
    if allowed:
        assert live_access().base_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigurationError, match="CLEAR_STREET_BASE_URL must be https"):
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
        "halt_after": 2,
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

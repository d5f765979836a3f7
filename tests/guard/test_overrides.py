"""Limits of one account, caller or right narrow the common ones, are what is judged by, and never widen anything."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.desk import CALLER, POLICY, desk
from guard.exchange import ACCOUNT
from positions_mcp.domain.errors import ConfigurationError, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.policy import Narrower, Policy
from positions_mcp.guard.policy.findings import Rule, Severity
from positions_mcp.settings import load

pytestmark = pytest.mark.requirement("G-10")

AMOUNTS = st.decimals(0, 10**6, places=2)
COUNTS = st.integers(1, 1000)
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "max_notional": AMOUNTS,
    "max_daily_notional": AMOUNTS,
    "max_positions": COUNTS,
    "max_open_plans_per_caller": COUNTS,
    "max_operations_per_minute": COUNTS,
    "max_operations_per_day": COUNTS,
    "desk_above": AMOUNTS,
    "two_persons_above": AMOUNTS,
    "give_up_above": AMOUNTS,
    "allow_close_all": st.booleans(),
    "allow_uncovered": st.booleans(),
}
ALWAYS_SET = {"max_open_plans_per_caller", "allow_close_all", "allow_uncovered"}
narrower = st.builds(Narrower, **{name: st.none() | limit for name, limit in LIMITS.items()})
common = st.builds(
    Policy, **{name: limit if name in ALWAYS_SET else st.none() | limit for name, limit in LIMITS.items()}
)
RIGHTS = ("traders", "juniors", "auditors")
NAMES = ("Claude", "stdio root Claude", "another")


def is_within(limit: Any, other: Any) -> bool:
    """Whether `limit` allows no more than `other`; None allows everything."""
    return other is None or (limit is not None and limit <= other)


@given(
    common,
    st.dictionaries(st.sampled_from([ACCOUNT, AccountId(7)]), narrower),
    st.dictionaries(st.sampled_from(NAMES), narrower),
    st.dictionaries(st.sampled_from(RIGHTS), narrower),
    st.sets(st.sampled_from(RIGHTS)),
)
def test_what_is_in_force_is_never_wider_than_any_limit_that_applies_and_no_narrower_than_them_all(
    policy: Policy,
    accounts: dict[AccountId, Narrower],
    callers: dict[str, Narrower],
    rights: dict[str, Narrower],
    theirs: set[str],
) -> None:
    tables = {"for_accounts": accounts, "for_callers": callers, "for_rights": rights}
    in_force = policy.model_copy(update=tables).within(ACCOUNT, CALLER, theirs)
    apply = [policy, accounts.get(ACCOUNT, Narrower()), callers.get(CALLER, Narrower())]
    apply += [each for name, each in rights.items() if name in theirs]
    for name in LIMITS:
        limit = getattr(in_force, name)
        assert all(is_within(limit, getattr(each, name)) for each in apply)
        assert limit in [getattr(each, name) for each in apply]
    others = set(Policy.model_fields) - set(LIMITS) - {*tables, "unknown_rights"}
    assert all(getattr(in_force, name) == getattr(policy, name) for name in others)
    assert set(in_force.unknown_rights) == theirs - rights.keys()
    assert in_force.within(ACCOUNT, CALLER) == in_force.model_copy(update={"unknown_rights": ()})
    assert set(LIMITS) == set(Narrower.model_fields)


@given(common, narrower)
def test_a_limit_is_wider_exactly_where_it_would_allow_more(policy: Policy, limits: Narrower) -> None:
    wider = {
        name
        for name in LIMITS
        if getattr(limits, name) is not None and not is_within(getattr(limits, name), getattr(policy, name))
    }
    assert set(policy.wider(limits)) == wider


@pytest.mark.parametrize(
    ("caller", "applies"),
    [
        ("root through claude-desktop", True),
        ("token of Claude-Desktop", True),
        ("claude-desktop", True),
        ("root through claude-desktop-2", False),
        ("token of not-claude-desktop", False),
        ("", False),
    ],
)
def test_a_caller_goes_by_its_clients_name_or_its_tokens_subject_as_in_a_halt(caller: str, applies: bool) -> None:
    policy = Policy(for_callers={"claude-desktop": Narrower(max_positions=1)})
    assert policy.within(ACCOUNT, caller).max_positions == (1 if applies else None)


NARROW: list[tuple[dict[str, Any], Rule, Severity]] = [
    ({"max_notional": 100}, Rule.NOTIONAL_PER_OPERATION, Severity.REFUSE),
    ({"max_daily_notional": 100}, Rule.NOTIONAL_PER_DAY, Severity.REFUSE),
    ({"max_positions": 1}, Rule.POSITIONS_PER_OPERATION, Severity.REFUSE),
    ({"desk_above": 100}, Rule.DESK_THRESHOLD, Severity.DESK),
    ({"two_persons_above": 100}, Rule.TWO_PERSONS, Severity.REFUSE),
]


@pytest.mark.parametrize(("limits", "rule", "severity"), NARROW)
@pytest.mark.parametrize("by", ["account", "caller", "right"])
async def test_it_is_what_a_plan_is_judged_by_and_its_fingerprint_is_in_the_plan(
    tmp_path: Path, limits: dict[str, Any], rule: Rule, severity: Severity, by: str
) -> None:
    own = Narrower(**limits)
    tables = {"account": {ACCOUNT: own}, "caller": {CALLER: own}, "right": {"traders": own, "auditors": Narrower()}}
    async with desk(tmp_path, policy=POLICY.model_copy(update={f"for_{by}s": tables[by]})) as it:
        planned = await it.plan("AAPL", "MSFT", rights=("traders",) if by == "right" else ())
        assert planned.verdict is not None
        assert [(each.rule, each.severity) for each in planned.verdict.findings] == [(rule, severity)]
        fingerprint = POLICY.model_copy(update=limits).fingerprint
        assert planned.operation.plan.policy == fingerprint != POLICY.fingerprint
        other = await it.plan("AAPL", "MSFT", caller="another", rights=("auditors",) if by == "right" else ())
        assert other.verdict is not None
        assert bool(other.verdict.findings) is (by == "account")


@pytest.mark.parametrize("right", ["", "traders"])
async def test_rates_and_open_plans_of_one_caller_are_narrowed_and_those_of_others_are_not(
    tmp_path: Path, right: str
) -> None:
    own, none = Narrower(max_operations_per_minute=1, max_open_plans_per_caller=2), Narrower()
    tables = {"for_rights": {right: own, "auditors": none}} if right else {"for_callers": {CALLER: own}}
    mine, others = ((right,), ("auditors",)) if right else ((), ())
    async with desk(tmp_path, policy=POLICY.model_copy(update=tables)) as it:
        await it.asked("AAPL", rights=mine)
        second = await it.plan("MSFT", rights=mine)
        with pytest.raises(Refused, match="1 operations in account"):
            await it.guard.ask(second.operation)
        with pytest.raises(Refused, match="2 plans of this caller wait"):
            await it.plan("TSLA", rights=mine)
        for symbol in ("AAPL", "MSFT", "TSLA"):
            await it.asked(symbol, caller="another", rights=others)
        if right:  # each has the limit for itself
            await it.asked("AAPL", caller="a third one", rights=mine)


FILE = """
[trading]
max_notional = 50000
allow_close_all = false
[approval]
desk_above = 10
[oauth.rights.traders]
value = "alice"
accounts = [19816]
[oauth.rights."Desk 7"]
value = "bob"
accounts = [19816]
[limits.{table}]
{limit}
"""


def loaded(folder: Path, table: str, limit: str) -> Policy:
    file = folder / "mine.toml"
    file.write_text(FILE.format(table=table, limit=limit), encoding="utf-8")
    return load(config=file).policy


def test_a_file_says_them_by_account_and_by_caller(tmp_path: Path) -> None:
    policy = loaded(tmp_path, 'accounts."19816"', "max_notional = 40000\nmax_operations_per_day = 5")
    assert policy.for_accounts == {ACCOUNT: Narrower(max_notional=Decimal(40000), max_operations_per_day=5)}
    policy = loaded(tmp_path, 'callers."Claude-Desktop"', 'max_positions = "3"')
    assert policy.for_callers == {"claude-desktop": Narrower(max_positions=3)}
    policy = loaded(tmp_path, 'rights."Desk 7"', "max_positions = 3\ntwo_persons_above = 0")
    assert policy.for_rights == {"traders": Narrower(), "Desk 7": Narrower(max_positions=3, two_persons_above=0)}
    assert load().policy.for_accounts == load().policy.for_callers == load().policy.for_rights == {}


@pytest.mark.parametrize(
    ("table", "limit", "said"),
    [
        (
            'accounts."19816"',
            "max_notional = 50000.01",
            'limits.accounts."19816".max_notional = 50000.01 is wider than',
        ),
        ('callers."x"', "desk_above = 11", 'limits.callers."x".desk_above = 11 is wider than approval.desk_above = 10'),
        (
            'callers."x"',
            "allow_close_all = true",
            "allow_close_all = true is wider than trading.allow_close_all = false",
        ),
        ('callers."x"', "allow_uncovered = true", "allow_uncovered = true is wider"),
        ('callers."x"', "max_operations_per_minute = 21", "max_operations_per_minute = 21 is wider"),
        ('callers."x"', "max_notionl = 1", 'limits.callers."x".max_notionl in the file'),
        ('callers."x"', "exercise_deadline = 16:00:00", "exercise_deadline in the file"),
        ('callers."x"', 'max_notional = "none"', 'max_notional = "none" in the file'),
        ('callers."x"', "max_positions = true", "It takes a whole number, 1 or more, such as 20"),
        ('accounts."abc"', "max_positions = 1", 'limits.accounts."abc" in the file'),
        ('accounts."0"', "max_positions = 1", "is not the number of an account"),
        (
            'accounts."19861"',
            "max_positions = 1",
            'limits.accounts."19861" is of an account that is not among',
        ),
        ('callers." "', "max_positions = 1", "names nobody"),
        ('caller."x"', "max_positions = 1", "limits.caller in the file"),
        ("rights.traders", "max_notional = 60000", 'limits.rights."traders".max_notional = 60000 is wider than'),
        ("rights.traders", "max_notionl = 1", 'limits.rights."traders".max_notionl in the file'),
        ("rights.Traders", "max_positions = 1", 'limits.rights."Traders" is of no right: there is no [oauth.rights.'),
        ("rights.juniors", "", 'limits.rights."juniors" is of no right'),
        ("rights", "max_positions = 1", 'limits.rights."max_positions" in the file'),
        ("accounts", "max_positions = 1", 'limits.accounts."max_positions" in the file'),
    ],
)
def test_what_is_wider_unknown_or_not_a_limit_refuses_to_start_and_is_named(
    tmp_path: Path, table: str, limit: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, table, limit)
    assert said in str(refused.value)


def test_servers_of_some_accounts_each_go_by_one_file_with_limits_of_all_that_it_lists(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('accounts = [19816, 20000]\n[limits.accounts."20000"]\nmax_positions = 1\n')
    policy = load({"accounts": [19816]}, config=config, environment={}).policy
    assert (policy.accounts, policy.for_accounts) == ({19816}, {20000: Narrower(max_positions=1)})
    config.write_text('accounts = ["x", [1]]\n[limits.accounts."20000"]\nmax_positions = 1\n')
    with pytest.raises(ConfigurationError, match="not among accounts = 19816"):
        load({"accounts": [19816]}, config=config, environment={})


def test_as_wide_as_the_common_one_is_no_wider(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'callers."x"', "max_notional = 50000\nallow_close_all = false").for_callers

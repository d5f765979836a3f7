"""`halt` and `resume`: stopping is always allowed, going on takes a person."""

from __future__ import annotations

import pytest

from cli.person import PASSPHRASE, Place


@pytest.mark.requirement("G-11")
def test_a_halt_needs_nobody_and_stops_a_waiting_call_before_its_next_request(place: Place) -> None:
    with place.asking("JPM") as call:
        done = place.without_terminal("halt", "quarter end\x1b[2J, call Ana")
        assert done.returncode == 0
        assert "HALTED by" in done.stdout
        assert str(place.data_dir) in done.stdout
        assert "\x1b" not in done.stdout
        with place.at_terminal("approve", call.operation_id) as person:
            person.sees("HALTED by", "quarter end")
            person.answers("Passphrase to APPROVE", PASSPHRASE)
            code, shown = person.ends()
        report = call.report()
    assert code == 1
    assert "PAPER REFUSED" in shown
    assert report["state"] == "REFUSED"
    assert "[halt]" in report["reason"]
    assert place.effects == {}


@pytest.mark.requirement("G-11")
def test_only_the_passphrase_at_a_terminal_ends_a_halt_after_showing_why(place: Place) -> None:
    place.without_terminal("halt", "quarter end")
    with place.at_terminal("resume") as person:
        person.sees("HALTED by", "quarter end")
        person.answers("Passphrase to resume:", "not the passphrase")
        code, shown = person.ends()
    assert code == 1
    assert "not the approver's" in shown
    with place.store() as store:
        assert store.halts()
    with place.at_terminal("resume") as person:
        person.answers("Passphrase to resume:", PASSPHRASE)
        code, shown = person.ends()
    assert code == 0
    assert "RESUMED" in shown
    with place.store() as store:
        assert not store.halts()
        assert [entry.event for entry in store.journal()][-2:] == ["halted", "resumed"]


@pytest.mark.requirement("G-11")
def test_before_there_is_an_approver_a_person_types_the_word(bare: Place) -> None:
    bare.without_terminal("halt", "trying it out")
    with bare.at_terminal("resume") as person:
        person.answers("Type resume to resume:", "yes")
        code, shown = person.ends()
    assert code == 1
    assert "It stays halted." in shown
    with bare.at_terminal("resume") as person:
        person.answers("Type resume to resume:", "resume")
        assert person.ends()[0] == 0
    with bare.store() as store:
        assert not store.halts()


@pytest.mark.requirement("G-11")
def test_a_halt_needs_no_live_key_and_no_accounts(bare: Place) -> None:
    bare.environment["POSITIONS_MCP_MODE"] = "live"
    assert bare.without_terminal("halt", "now").returncode == 0


@pytest.mark.requirement("G-11", "G-21")
@pytest.mark.parametrize(("words", "reason"), [((), "no reason given"), (("quarter", "end", "now"), "quarter end now")])
def test_a_halt_needs_no_reason_and_takes_words_without_quotes(
    bare: Place, words: tuple[str, ...], reason: str
) -> None:
    assert bare.without_terminal("halt", *words).returncode == 0
    with bare.store() as store:
        assert [halt.reason for halt in store.halts()] == [reason]


@pytest.mark.requirement("G-21")
@pytest.mark.parametrize("wrong", ["this is no TOML", "trading = 5", "unknown_key = 1"])
def test_a_halt_that_fails_for_another_reason_says_so_too(bare: Place, wrong: str) -> None:
    config = bare.data_dir.with_name("config.toml")
    config.write_text(wrong, encoding="ascii")
    done = bare.without_terminal("halt", "--config", str(config))
    assert done.returncode != 0
    assert "It is NOT halted" in done.stderr


@pytest.mark.requirement("G-11")
def test_a_halt_that_could_not_be_written_says_so(bare: Place) -> None:
    bare.data_dir.mkdir(mode=0o700)
    (bare.data_dir / "operations.sqlite").write_text("this is no database", encoding="ascii")
    done = bare.without_terminal("halt", "now")
    assert done.returncode == 1
    assert "It is NOT halted" in done.stderr


@pytest.mark.requirement("G-11")
def test_a_halt_may_name_an_account_a_caller_and_a_kind_and_says_what_it_stops(bare: Place) -> None:
    done = bare.without_terminal(
        "halt", "--account", "19816", "--caller", "claude-code", "--kind", "close", "a", "storm"
    )
    assert done.returncode == 0
    assert "closing positions in account 19816 asked for by claude-code" in " ".join(done.stdout.split())
    assert "PAPER and LIVE, only that, data_dir" in " ".join(done.stdout.split())
    assert "CHECK THE NAME" in done.stdout
    with bare.store() as store:
        (halt,) = store.halts()
    assert (halt.account_id, halt.caller, halt.kind, halt.reason) == (19816, "claude-code", "close", "a storm")


@pytest.mark.requirement("G-11")
def test_a_halt_of_two_accounts_is_two_halts(bare: Place) -> None:
    assert bare.without_terminal("halt", "--account", "1", "--account", "2").returncode == 0
    with bare.store() as store:
        assert [halt.account_id for halt in store.halts()] == [1, 2]


@pytest.mark.requirement("G-11", "G-21")
@pytest.mark.parametrize(
    "wrong",
    [("--kind", "sell"), ("--kind", "everything"), ("--account", "all"), ("--account", "-1"), ("--account", "9" * 19)],
)
def test_a_scope_that_cannot_be_halts_nothing_and_says_so(bare: Place, wrong: tuple[str, str]) -> None:
    done = bare.without_terminal("halt", f"{wrong[0]}={wrong[1]}", "now")
    assert done.returncode != 0
    assert "It is NOT halted" in done.stderr


@pytest.mark.requirement("G-11")
def test_resume_ends_one_halt_or_all_of_them(bare: Place) -> None:
    for scope in ((), ("--account", "19816"), ("--kind", "exercise")):
        bare.without_terminal("halt", *scope)
    with bare.at_terminal("resume", "--account", "7") as person:
        assert person.ends()[0] == 1
    with bare.at_terminal("resume", "--account", "19816") as person:
        person.sees("exercise instructions", "The others stay")
        person.answers("Type resume to resume:", "resume")
        assert person.ends()[0] == 0
    with bare.store() as store:
        assert [halt.scope for halt in store.halts()] == ["everything destructive", "exercise instructions"]
    with bare.at_terminal("resume") as person:
        person.answers("Type resume to resume:", "resume")
        assert person.ends()[0] == 0
    with bare.store() as store:
        assert store.halts() == ()


PROMPT = "Passphrase to CANCEL this order now:"


@pytest.mark.requirement("G-24", "G-11")
def test_after_the_halt_the_passphrase_withdraws_what_has_not_filled_and_tells_each_order(place: Place) -> None:
    assert place.without_terminal("paper", "market", "halt", "JPM").returncode == 0
    with place.asking("JPM") as call, place.at_terminal("approve", call.operation_id) as person:
        person.answers("Passphrase to APPROVE", PASSPHRASE)
        person.ends()
        call.report()
    with place.at_terminal("halt", "--withdraw") as person:
        person.answers(PROMPT, "not the passphrase")
        code, shown = person.ends()
    assert code == 1
    assert "It IS halted" in shown
    assert place.effects == {"close_position": 1}
    with place.at_terminal("halt", "--withdraw", "news") as person:
        person.sees("HALTED by", "*** CANCEL own unfilled closes in PAPER (no real money), account 19816 ***", "JPM")
        person.answers(PROMPT, PASSPHRASE)
        code, shown = person.ends()
    assert "cancelled" in shown or "cancel asked for" in shown
    assert code == (0 if " cancelled" in shown else 1)
    assert place.effects == {"close_position": 1, "cancel_order": 1}
    with place.store() as store:
        assert store.halts()
        assert store.verify().intact


@pytest.mark.requirement("G-24", "G-11")
def test_it_is_halted_whatever_comes_of_the_withdrawal(place: Place) -> None:
    done = place.without_terminal("halt", "--withdraw", "again")
    assert done.returncode == 1
    assert "HALTED by" in done.stdout
    assert "It IS halted" in done.stderr
    code, shown = place.shows("halt", "--withdraw")
    assert code == 0
    assert "nothing was cancelled" in shown
    with place.store() as store:
        assert store.halts()
    assert place.effects == {}

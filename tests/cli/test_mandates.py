"""`mandate`: drafted by anybody, signed at a terminal with the passphrase, seen, and taken back without one."""

from __future__ import annotations

import json
import re

import pytest

from cli.person import PASSPHRASE, Place

TERMS = (
    "--account",
    "19816",
    "--instrument",
    "KO",
    "--per-operation",
    "5000",
    "--in-all",
    "20,000",
    "--operations",
    "4",
)


def drafted(place: Place, *more: str) -> str:
    done = place.without_terminal("mandate", "draft", *TERMS, *more)
    assert done.returncode == 0, done.stderr
    assert "lets nothing through" in done.stdout
    found = re.search(r"ma-[0-9a-z]{10}", done.stdout)
    assert found
    return found[0]


@pytest.mark.requirement("G-16")
def test_a_mandate_is_drafted_signed_listed_and_revoked(place: Place) -> None:
    mandate = drafted(place, "--caller", "Claude", "--price", "KO:55:", "--until", "23:59")
    with place.at_terminal("mandate", "sign", mandate) as person:
        person.sees("PAPER", "Close positions: KO", "$5,000 an operation", "costs at least $55", "WITHOUT A QUESTION")
        person.answers("Passphrase to SIGN in PAPER", PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown
    assert "SIGNED by" in shown
    assert mandate in place.without_terminal("mandate", "list").stdout
    seen = place.without_terminal("mandate", "show", mandate).stdout
    assert "left: 4 of 4 operations, $20,000 of $20,000" in " ".join(seen.split())
    assert place.without_terminal("mandate", "revoke", mandate).returncode == 0
    assert "revoked" in place.without_terminal("mandate", "show", mandate).stdout
    with place.store() as store:
        events = [entry.event for entry in store.journal() if entry.event.startswith("mandate")]
        assert events == ["mandate drafted", "mandate signed", "mandate revoked"]


@pytest.mark.requirement("G-16")
def test_without_a_terminal_or_with_another_passphrase_nothing_is_signed(place: Place) -> None:
    mandate = drafted(place)
    assert "needs a person at a terminal" in place.without_terminal("mandate", "sign", mandate).stderr
    with place.at_terminal("mandate", "sign", mandate) as person:
        person.answers("Passphrase to SIGN", "another pass phrase")
        code, shown = person.ends()
    assert code == 1
    assert "not the approver's" in shown
    with place.store() as store:
        found = store.mandate(mandate)
        assert found is not None
        assert found.mandate.is_draft


WRONG = {
    "no account": ((), "for one account"),
    "no dollars": (("--in-all", "lots"), "no amount of dollars"),
    "more for one than for all": (("--in-all", "1"), "more than all of them"),
    "close-all": (("--kind", "close_all_positions"), "--kind"),
    "a price of another": (("--price", "JPM:1:"), "which it does not name"),
    "no price": (("--price", "KO"), "is not SYMBOL:FROM:TO"),
    "no time": (("--until", "noon"), "is no time of day"),
    "no symbol": (("--instrument", "K O"), "is no symbol"),
    "an account of strange digits": (("--account", "\u00b2"), "--account takes an account's number"),
    "nothing to note": (("--shadow-days", "0"), "--shadow-days 0: from 1 to 31 days"),
    "longer than a draft notes": (("--shadow-days", "99"), "--shadow-days 99: from 1 to 31 days"),
    "more than are counted": (("--operations", "1234567"), "is no number from 0 to 999999"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_draft_that_means_nothing_is_refused_in_words(name: str, place: Place) -> None:
    more, why = WRONG[name]
    base = TERMS[2:] if name == "no account" else TERMS
    done = place.without_terminal("mandate", "draft", *base, *more)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    with place.store() as store:
        assert store.mandates() == ()


def test_json_says_the_terms_what_is_left_and_who_signed_with_amounts_as_strings(place: Place) -> None:
    mandate = drafted(place, "--caller", "Claude", "--price", "KO:55:", "--until", "23:59")
    with place.at_terminal("mandate", "sign", mandate) as person:
        person.answers("Passphrase to SIGN in PAPER", PASSPHRASE)
        person.ends()
    (row,) = json.loads(place.without_terminal("mandate", "list", "--json").stdout)["mandates"]
    shown = json.loads(place.without_terminal("mandate", "show", mandate, "--json").stdout)["mandate"]
    assert {name: shown[name] for name in row} == row
    assert (row["mandate_id"], row["mode"], row["account_id"]) == (mandate, "paper", 19816)
    assert (row["signed_by"], row["state"] in ("in force", "signed, not begun")) == ("approver", True)
    assert (row["per_operation"], row["in_all"], row["operations"]) == ("5000", "20000", 4)
    assert (row["notional_left"], row["operations_left"], row["until"]) == ("20000", 4, "23:59")
    assert row["prices"] == [{"instrument": "KO", "at_least": "55", "at_most": None}]
    assert (row["revoked_at"], row["why_not_signed"], shown["uses"], shown["noted"]) == (None, None, [], [])
    assert row["ends"].endswith("Z")

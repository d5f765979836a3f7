"""`approver add|role|remove|list`: several people, each change shown, then signed at a terminal by who may (D-04)."""

from __future__ import annotations

import json

import pytest

from cli.person import PASSPHRASE, Place
from positions_mcp.cli import main

BEN = "the passphrase of Ben"
pytestmark = pytest.mark.requirement("D-04")


def listed(place: Place) -> dict[str, dict[str, object]]:
    """The members by name."""
    shown = json.loads(place.without_terminal("approver", "list", "--json").stdout)
    return {member["name"]: member for member in shown["members"]}


def adds_ben(place: Place, *rights: str, passphrase: str = BEN) -> tuple[int, str]:
    with place.at_terminal("approver", "add", "Ben", *rights) as person:
        for prompt in ("New passphrase:", "The same again:"):
            person.answers(prompt, passphrase)
        if passphrase == BEN:
            person.answers("Passphrase of approver, to sign the change:", PASSPHRASE)
        return person.ends()


def test_a_person_is_added_with_rights_that_are_shown_before_they_are_signed_and_decides_by_name(place: Place) -> None:
    code, shown = adds_ben(place, "--up-to", "50000", "--in", "19816")
    assert code == 0, shown
    before = shown.index("To be signed:")
    assert before < shown.index("account 19816: approves up to $50,000 a day") < shown.index("Passphrase of approver")
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation, "--as", "ben", "--note", "as discussed") as person:
        person.answers("Ben: Passphrase to APPROVE", BEN)
        person.sees("APPROVED - NOT SENT")
        person.interrupts()
        person.ends()
    shown = place.without_terminal("operations", "show", operation).stdout
    assert all(said in shown for said in ("Ben ", "terminal", "as discussed")), shown


def test_one_passphrase_is_not_two_peoples(place: Place) -> None:
    code, shown = adds_ben(place, passphrase=PASSPHRASE)
    assert code == 1
    assert "That passphrase is somebody else's already" in shown
    assert set(listed(place)) == {"approver"}
    adds_ben(place)
    with place.at_terminal("approver", "replace", "--as", "Ben") as person:
        person.answers("Old passphrase of Ben", BEN)
        person.answers("New passphrase:", PASSPHRASE)
        person.answers("The same again:", PASSPHRASE)
        code, shown = person.ends()
    assert code == 1
    assert "somebody else's" in shown


def test_a_role_changes_what_somebody_has_where_they_have_it_and_adds_no_account(place: Place) -> None:
    adds_ben(place, "--up-to", "50000", "--in", "19816")
    with place.at_terminal("approver", "role", "Ben", "--as", "approver", "--up-to", "70000", "--settles") as person:
        person.sees("To be signed:", "account 19816: approves up to $70,000 a day, ends halts and settles")
        person.answers("Passphrase of approver", PASSPHRASE)
        assert person.ends()[0] == 0
    assert listed(place)["Ben"]["rights"] == [
        {"account_id": 19816, "approves": "70000", "resumes_and_settles": True},
    ]


@pytest.mark.parametrize("command", ["init", "add", "role", "remove"])
@pytest.mark.parametrize("name", ["B" * 41, "", "B\nen", "Ben\u202e", "\ufb01n"])
def test_what_is_no_name_is_refused_before_anybody_types_a_passphrase(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["approver", command, name])
    assert "a name is 1 to 40 plain characters" in capsys.readouterr().err


def test_what_is_no_account_is_refused_before_anybody_types_a_passphrase(place: Place) -> None:
    code, shown = place.shows("approver", "add", "Ben", "--in", "0")
    assert code == 1
    assert "is not an account number" in shown
    assert "Nothing was changed" in shown


def test_an_account_of_too_many_digits_is_no_argument(place: Place) -> None:
    code, shown = place.shows("approver", "add", "Ben", "--in", "9" * 20)
    assert code == 2
    assert "has more than 18 digits" in shown


def test_the_last_who_may_change_the_list_stays_in_it(place: Place) -> None:
    for words in (["remove", "approver"], ["role", "approver", "--no-manages"]):
        code, shown = place.shows("approver", *words)
        assert code == 1
        assert "somebody has to be able to change the roster. Nothing was changed." in shown


def test_a_change_that_changes_nothing_is_refused_and_who_may_not_changes_nothing(place: Place) -> None:
    adds_ben(place, "--up-to", "50000")
    code, shown = place.shows("approver", "role", "Ben", "--as", "approver", "--up-to", "50,000")
    assert code == 1
    assert "That changes nothing" in shown
    code, shown = place.shows("approver", "role", "Ben", "--as", "Ben", "--up-to", "anything")
    assert code == 1
    assert "Ben may not change who approves" in shown
    assert listed(place)["Ben"]["rights"][0]["approves"] == "50000"


def test_who_is_removed_decides_nothing_more(place: Place) -> None:
    adds_ben(place, "--up-to", "anything")
    with place.at_terminal("approver", "remove", "Ben", "--as", "approver") as person:
        person.sees("Ben decides no more.")
        person.answers("Passphrase of approver", PASSPHRASE)
        assert person.ends()[0] == 0
    operation = place.planned("JPM").operation_id
    code, shown = place.shows("approve", operation, "--as", "Ben")
    assert code == 1
    assert 'Nobody called "Ben" approves here' in shown

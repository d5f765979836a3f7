"""`approver`: a passphrase typed twice at a terminal, kept nowhere, replaced only by who knows it."""

from __future__ import annotations

import pytest

from cli.person import PASSPHRASE, Place

NEW = "another correct horse battery"


@pytest.mark.requirement("G-02")
def test_a_passphrase_is_typed_twice_never_shown_and_nowhere_in_the_store(bare: Place) -> None:
    with bare.at_terminal("approver", "init") as person:
        person.sees("At least 12 characters", "cannot be recovered")
        person.answers("New passphrase:", PASSPHRASE)
        person.answers("The same again:", PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown
    assert PASSPHRASE not in shown
    files = [path for path in bare.data_dir.rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert all(PASSPHRASE.encode() not in path.read_bytes() for path in files)
    done = bare.without_terminal("approver", "show")
    assert done.returncode == 0
    assert str(bare.data_dir) in done.stdout


@pytest.mark.parametrize(
    ("typed", "said"),
    [(["too short"], "has 9 characters; it needs at least 12"), ([PASSPHRASE, NEW], "The two passphrases differ")],
    ids=["too short", "typed differently"],
)
def test_a_passphrase_that_will_not_do_changes_nothing(bare: Place, typed: list[str], said: str) -> None:
    with bare.at_terminal("approver", "init") as person:
        for prompt, line in zip(("New passphrase:", "The same again:"), typed, strict=False):
            person.answers(prompt, line)
        code, shown = person.ends()
    assert code == 1
    assert said in shown
    assert "Nothing was changed." in shown
    done = bare.without_terminal("approver", "show")
    assert done.returncode == 1
    assert "positions-mcp approver init" in done.stdout


@pytest.mark.requirement("G-02")
def test_another_passphrase_takes_the_old_one(place: Place) -> None:
    with place.store() as store:
        first = store.rosters().roster
    code, shown = place.shows("approver", "init")
    assert code == 1
    assert "There is an approver already" in shown
    with place.at_terminal("approver", "replace") as person:
        person.answers("Old passphrase", "not the passphrase")
        assert person.ends()[0] == 1
    with place.store() as store:
        assert store.rosters().roster == first
    with place.at_terminal("approver", "replace") as person:
        person.answers("Old passphrase", PASSPHRASE)
        person.answers("New passphrase:", NEW)
        person.answers("The same again:", NEW)
        assert person.ends()[0] == 0
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation) as person:
        person.answers("Passphrase to APPROVE", PASSPHRASE)
        code, shown = person.ends()
    assert code == 1
    assert "not the approver's" in shown
    assert "Roster 2, signed by approver" in place.without_terminal("approver", "show").stdout

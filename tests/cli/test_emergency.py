"""A broken store keeps an assistant from sending, and a person from nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.person import PASSPHRASE, Place, Typing
from positions_mcp.store import open_store
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore

NEW_PASSPHRASE = "a completely new one"


def alter(file: Path) -> None:
    """Somebody edits the journal."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE journal SET event = 'nothing happened'")
        connection.commit()


def disagree(file: Path) -> None:
    """The journal says that it goes on."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE meta SET value = '99' || value WHERE key = 'journal_head'")
        connection.commit()


def overwrite(file: Path) -> None:
    """The file is no database any more."""
    for each in file.parent.glob(f"{file.name}*"):
        each.write_bytes(b"this was a store" * 1_000)


def migrate(file: Path) -> None:
    """A later release does."""
    SqlOperationStore(file, migrations=(*MIGRATIONS, lambda _: None)).close()


@pytest.mark.requirement("G-17")
@pytest.mark.parametrize(
    ("damage", "approver_is_lost"), [(alter, True), (overwrite, True), (disagree, False), (migrate, False)]
)
def test_a_person_flattens_although_the_store_is_broken_and_finds_the_journal(
    place: Place, damage: Callable[[Path], None], approver_is_lost: bool
) -> None:
    damage(place.data_dir / "operations.sqlite")
    with place.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        person.sees("THE OPERATION STORE CANNOT BE USED")
        if approver_is_lost:
            chooses_a_passphrase(person)
        person.answers("Type the account number to flatten it", "19816")
        person.answers("Passphrase to SEND now:", PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown
    assert place.effects == {"close_position": 1}
    kept = re.search(r"journalled in (\S+operations\.sqlite)", " ".join(shown.split()))
    assert kept, shown
    with closing(open_store(Path(kept.group(1)))) as store:
        assert store.verify().intact
        assert [target.symbol for target in store.operations(limit=1)[0].plan.targets] == ["KO"]


@pytest.mark.requirement("G-17")
@pytest.mark.parametrize("damage", [alter, migrate])
def test_a_store_that_breaks_after_the_question_is_asked_does_not_stop_a_person(
    place: Place, damage: Callable[[Path], None]
) -> None:
    with place.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        person.answers("Type the account number to flatten it", "19816")
        person.sees("Passphrase to SEND now:")
        damage(place.data_dir / "operations.sqlite")
        person.types(PASSPHRASE)
        person.sees("THE OPERATION STORE CANNOT BE USED")
        person.answers("Type the account number to flatten it", "19816")
        person.answers("Passphrase to SEND now:", PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown
    assert place.effects == {"close_position": 1}


@pytest.mark.requirement("G-17")
def test_a_data_directory_that_cannot_be_made_leads_to_a_record_elsewhere(place: Place) -> None:
    (place.data_dir / "file").touch()
    with place.at_terminal("flatten", "19816", "--data-dir", str(place.data_dir / "file" / "data")) as person:
        person.sees("THE OPERATION STORE CANNOT BE USED: data_dir")
        chooses_a_passphrase(person)
        code, shown = person.ends()
    # The paper exchange keeps its book there too, so there is nothing to flatten; a real account would be read now.
    assert "Nothing was sent" in shown
    assert code != 0


@pytest.mark.requirement("G-17")
def test_an_approver_who_replaced_another_decides_in_the_record_elsewhere_too(place: Place) -> None:
    with place.at_terminal("approver", "replace") as person:
        person.answers("Old passphrase", PASSPHRASE)
        person.answers("New passphrase:", NEW_PASSPHRASE)
        person.answers("The same again:", NEW_PASSPHRASE)
        assert person.ends()[0] == 0
    disagree(place.data_dir / "operations.sqlite")
    with place.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        person.answers("Type the account number to flatten it", "19816")
        person.answers("Passphrase to SEND now:", NEW_PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown


def chooses_a_passphrase(person: Typing) -> None:
    person.sees("The approver cannot be relied on either")
    person.answers("New passphrase:", PASSPHRASE)
    person.answers("The same again:", PASSPHRASE)

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


def alter(file: Path) -> None:
    """Somebody edits the journal."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE journal SET event = 'nothing happened'")
        connection.commit()


def overwrite(file: Path) -> None:
    """The file is no database any more."""
    for each in file.parent.glob(f"{file.name}*"):
        each.write_bytes(b"this was a store" * 1_000)


@pytest.mark.requirement("G-17")
@pytest.mark.parametrize(("damage", "approver_is_lost"), [(alter, False), (overwrite, True)])
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
    assert place.effects() == {"close_position": 1}
    kept = re.search(r"journalled in (\S+operations\.sqlite)", " ".join(shown.split()))
    assert kept, shown
    with closing(open_store(Path(kept.group(1)))) as store:
        assert store.verify().intact
        assert [target.symbol for target in store.operations(limit=1)[0].plan.targets] == ["KO"]


def chooses_a_passphrase(person: Typing) -> None:
    person.sees("The approver cannot be read either")
    person.answers("New passphrase:", PASSPHRASE)
    person.answers("The same again:", PASSPHRASE)

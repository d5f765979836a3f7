"""The first change of a store that has only an approver of release 0.1.0: it changes what it says it changes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from authenticator import ORIGIN, Authenticator, b64
from guard.desk import Desk, desk
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import FIRST_NAME, Member, Rights, whole_member
from positions_mcp.domain.operation.statements import TERMINAL, Passkey
from positions_mcp.guard.enrolling import (
    Change,
    Enrolling,
    adding,
    adding_member,
    changing_member,
    removing_member,
    replacing_key,
)
from positions_mcp.guard.touches import Touches
from positions_mcp.signing.passkeys import enrolled
from signing.people import ANA, BEN, NOW, approver_of

pytestmark = pytest.mark.requirement("D-04")
THE_PASSPHRASE = "the passphrase of Ana"


def _passkey() -> Passkey:
    made = Authenticator().makes(b64(b"a challenge"))
    return enrolled(made, challenge=b"a challenge", origin=ORIGIN, label="phone", now=NOW)


PASSKEY = _passkey()
BEFORE = whole_member(FIRST_NAME, ANA.key)
OTHER = whole_member("Ben", BEN.key)
LESS = (Rights(approves=Decimal(5)),)


async def change(it: Desk, wanted: Change) -> tuple[Member, ...]:
    """Who may decide after a change of a store of 0.1.0."""
    it.store.set_approver(approver_of(ANA), replacing=None, now=NOW)
    enrolling = Enrolling(it.parts, Touches(it.parts))
    await enrolling.with_passphrase(wanted, FIRST_NAME, THE_PASSPHRASE, origin=TERMINAL)
    roster = it.store.rosters().roster
    assert roster is not None
    return roster.members


@pytest.mark.parametrize(
    ("wanted", "after"),
    [
        pytest.param(adding(FIRST_NAME, PASSKEY), [BEFORE.changed(credentials=(ANA.key, PASSKEY))], id="a passkey"),
        pytest.param(replacing_key(FIRST_NAME, BEN.key), [BEFORE.changed(credentials=(BEN.key,))], id="a passphrase"),
        pytest.param(changing_member(FIRST_NAME, name="Ana"), [BEFORE.changed(name="Ana")], id="a name"),
        pytest.param(changing_member(FIRST_NAME, callers=("ana",)), [BEFORE.changed(callers=("ana",))], id="callers"),
        pytest.param(changing_member(FIRST_NAME, rights=LESS), [BEFORE.changed(rights=LESS)], id="rights"),
        pytest.param(adding_member(OTHER), [BEFORE, OTHER], id="a person"),
    ],
)
async def test_the_first_change_is_made(tmp_path: Path, wanted: Change, after: list[Member]) -> None:
    async with desk(tmp_path) as it:
        assert list(await change(it, wanted)) == after


async def test_the_only_approver_is_not_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        with pytest.raises(Refused, match="cannot become that"):
            await change(it, removing_member(FIRST_NAME))
        assert it.store.rosters().links == ()

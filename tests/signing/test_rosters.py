"""Only a chain of signed changes says who may decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import ANYTHING, Member, Rights, Roster, RosterLink, whole_member
from positions_mcp.domain.operation.statements import KeySignature, PasskeyAssertion, Purpose, SignedStatement
from positions_mcp.signing.release_1 import is_chain
from positions_mcp.signing.rosters import RosterChain, next_roster, why_not_next
from positions_mcp.signing.statements import NotSigned, sign, signer
from signing.people import ACCOUNT, ANA, BEN, BOTH, CARA, EVE, FIRST, NOW, approver_of, chain_of, clerk, link, yes

WHOLE_ANA = whole_member("Ana", ANA.key)
LEGACY = RosterChain((approver_of(EVE), approver_of(ANA, EVE)))


def roster_of(chain: RosterChain) -> Roster:
    assert chain.roster is not None
    return chain.roster


@pytest.mark.requirement("D-04")
def test_a_chain_holds_whose_every_change_is_signed_by_who_could_make_it() -> None:
    for chain in (RosterChain(), FIRST, BOTH, LEGACY):
        assert chain.why_broken() == ""
    assert [member.name for member in roster_of(BOTH).members] == ["Ana", "Ben"]
    assert FIRST.head in BOTH.heads
    assert BOTH.head not in FIRST.heads


@pytest.mark.requirement("D-04", "R-01")
def test_an_approver_of_the_first_release_is_a_member_with_every_right_and_changes_the_roster() -> None:
    only = roster_of(LEGACY).only
    assert only is not None
    assert (only.name, only.manages, only.rights[0].approves) == ("approver", True, ANYTHING)
    renamed = replace(LEGACY, links=[link(LEGACY, ANA, "approver", WHOLE_ANA)])
    assert renamed.why_broken() == ""
    assert LEGACY.head in renamed.heads
    by_the_one_before = replace(LEGACY, links=[link(LEGACY, EVE, "approver", whole_member("Eve", EVE.key))])
    assert "not signed by an approver" in by_the_one_before.why_broken()
    assert not is_chain((approver_of(EVE), approver_of(ANA)))


FORGED: dict[str, tuple[RosterChain, RosterLink]] = {
    "signed by nobody on it": (BOTH, link(BOTH, EVE, "Eve", WHOLE_ANA, whole_member("Eve", EVE.key))),
    "signed in another's name": (BOTH, link(BOTH, EVE, "Ana", WHOLE_ANA, whole_member("Eve", EVE.key))),
    "signed by one who may not manage": (BOTH, link(BOTH, BEN, "Ben", WHOLE_ANA, whole_member("Ben", BEN.key))),
    "signed by one who is only on the new one": (FIRST, link(FIRST, BEN, "Ben", whole_member("Ben", BEN.key))),
    "one that starts again": (BOTH, link(RosterChain(), EVE, "Eve", whole_member("Eve", EVE.key))),
    "one that followed another": (BOTH, link(FIRST, ANA, "Ana", WHOLE_ANA, clerk("Ben", BEN, 10**9))),
    "one made once more": (BOTH, BOTH.links[-1]),
    "a first one that nobody on it manages": (
        RosterChain(),
        link(RosterChain(), BEN, "Ben", WHOLE_ANA, clerk("Ben", BEN)),
    ),
    "a statement of another purpose": (BOTH, link(BOTH, ANA, "Ana", WHOLE_ANA, purpose=Purpose.RESUME)),
    "a statement about another roster": (BOTH, link(BOTH, ANA, "Ana", WHOLE_ANA, digest="ab" * 32)),
    "a statement of one account": (BOTH, link(BOTH, ANA, "Ana", WHOLE_ANA, account=ACCOUNT)),
    "a statement of one mode": (BOTH, link(BOTH, ANA, "Ana", WHOLE_ANA, mode=Mode.PAPER)),
    "a statement of a no": (BOTH, link(BOTH, ANA, "Ana", WHOLE_ANA, decision="reject")),
}


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize(("before", "forged"), FORGED.values(), ids=FORGED)
def test_a_forged_link_is_found(before: RosterChain, forged: RosterLink) -> None:
    assert why_not_next(before, forged)
    assert replace(before, links=[*before.links, forged]).why_broken()


EVES = clerk("Ben", EVE)
"""Ben with another passphrase."""
MORE: dict[str, tuple[Member, ...]] = {
    "more to approve": (WHOLE_ANA, clerk("Ben", EVE, 10**9)),
    "the right to change rosters": (WHOLE_ANA, EVES.changed(manages=True)),
    "another name": (WHOLE_ANA, EVES.changed(name="Eve")),
    "other callers": (WHOLE_ANA, EVES.changed(callers=("claude",))),
    "a second passphrase": (WHOLE_ANA, clerk("Ben", BEN).changed(credentials=(BEN.key, EVE.key))),
    "somebody else's passphrase": (whole_member("Ana", EVE.key), clerk("Ben", BEN)),
    "one more person": (WHOLE_ANA, EVES, clerk("Cara", CARA)),
    "one person less": (EVES.changed(manages=True),),
    "another order": (EVES, WHOLE_ANA),
    "nothing of one's own": (whole_member("Ana", CARA.key), EVES),
}


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize("members", MORE.values(), ids=MORE)
def test_everybody_replaces_their_own_passphrase_and_nothing_else(members: tuple[Member, ...]) -> None:
    replaced = link(BOTH, BEN, "Ben", WHOLE_ANA, EVES)
    assert why_not_next(BOTH, replaced) == ""
    assert chain_of(*BOTH.links, replaced).why_broken() == ""
    assert "may not change rosters" in why_not_next(BOTH, link(BOTH, BEN, "Ben", *members))


@pytest.mark.requirement("D-04")
def test_a_change_changes_something() -> None:
    with pytest.raises(Refused, match="changes nothing"):
        next_roster(BOTH, roster_of(BOTH).members)


@pytest.mark.requirement("D-04")
def test_no_link_can_be_edited_left_out_moved_or_made_twice() -> None:
    first, second = BOTH.links
    richer = second.changed(roster=second.roster.changed(members=(WHOLE_ANA, clerk("Ben", BEN, 10**9))))
    manager = second.changed(roster=second.roster.changed(members=(WHOLE_ANA, whole_member("Ben", BEN.key))))
    for links in (
        [first, richer],
        [first, manager],
        [second],
        [second, first],
        [first, first],
        [first, second, second],
    ):
        assert chain_of(*links).why_broken()


@pytest.mark.requirement("D-04")
def test_who_was_removed_signs_nothing_any_more() -> None:
    alone = chain_of(*BOTH.links, link(BOTH, ANA, "Ana", WHOLE_ANA))
    assert alone.why_broken() == ""
    signed = sign(yes("Ben", BEN), BEN)
    assert signer(roster_of(BOTH), signed).name == "Ben"
    with pytest.raises(NotSigned):
        signer(roster_of(alone), signed)


CHANGES: list[dict[str, Any]] = [
    {"purpose": Purpose.MANDATE},
    {"mode": Mode.LIVE},
    {"account": 7},
    {"operation": "op-2"},
    {"digest": "cd" * 32},
    {"beside": "cd" * 32},
    {"decision": "reject"},
    {"origin": "https://elsewhere"},
    {"note": "another note"},
    {"decided_at": NOW + timedelta(seconds=1)},
    {"expires_at": NOW + timedelta(seconds=1)},
    {"expires_at": None},
    {"name": "Ben"},
    {"credential": BEN.key.fingerprint},
]


@pytest.mark.requirement("G-02", "D-04")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_signature_is_good_for_every_word_of_its_statement_and_no_other(change: dict[str, Any]) -> None:
    signed = sign(yes("Ana", ANA), ANA)
    assert signer(roster_of(BOTH), signed).name == "Ana"
    with pytest.raises(NotSigned):
        signer(roster_of(BOTH), signed.changed(statement=signed.statement.changed(**change)))


@pytest.mark.requirement("G-02", "D-04")
def test_a_signature_of_another_key_or_kind_is_none() -> None:
    said = yes("Ana", ANA)
    assertion = PasskeyAssertion(authenticator_data="AA", client_data="AA", signature="AA")
    for signature in (KeySignature(signature=EVE.sign(said.canonical)), KeySignature(signature="00" * 64), assertion):
        with pytest.raises(NotSigned):
            signer(roster_of(BOTH), SignedStatement(statement=said, signature=signature))


@pytest.mark.parametrize(
    "members",
    [
        (clerk("Ana", ANA),),
        (WHOLE_ANA, clerk("Ben", ANA)),
        (WHOLE_ANA, clerk("ana", BEN)),
        (WHOLE_ANA.changed(credentials=(ANA.key, ANA.key)),),
    ],
    ids=["nobody manages", "a credential of two", "a name of two", "a credential twice"],
)
def test_no_roster_leaves_nobody_to_change_it_or_makes_two_people_of_one(members: tuple[Member, ...]) -> None:
    with pytest.raises(ValidationError):
        Roster(version=1, members=members)


@pytest.mark.parametrize("name", ["", " Ana", "Ana ", "A\u202ena", "A\nna", "x" * 41, "\u2126hm", "A\u200bna"])
def test_a_name_hides_nothing(name: str) -> None:
    with pytest.raises(ValidationError):
        clerk(name, BEN)


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "1e99", "everything"])
def test_an_amount_is_dollars(amount: str) -> None:
    with pytest.raises(ValidationError):
        Rights(approves=amount)  # type: ignore[arg-type]


def test_rights_in_a_named_account_take_the_place_of_those_in_every_other() -> None:
    general, named = (
        Rights(approves=ANYTHING, resumes_and_settles=True),
        Rights(account_id=ACCOUNT, approves=Decimal(5)),
    )
    member = Member(name="Ben", credentials=(BEN.key,), rights=(general, named))
    assert member.rights_in(ACCOUNT) == named
    assert member.rights_in(ACCOUNT + 1) == general  # type: ignore[arg-type]
    assert not member.resumes_everywhere
    assert member.changed(rights=(named,)).rights_in(ACCOUNT + 1) is None  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        member.changed(rights=(general, general))


def test_a_link_is_stored_and_read_back_to_the_byte() -> None:
    stored = BOTH.links[-1].canonical
    assert RosterLink.model_validate_json(stored).canonical == stored

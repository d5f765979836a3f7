"""Changes of who may decide with what: each is a roster that a member signs who may change it (D-04).

A member's own further credential takes that right too. Where one person approves alone, that person has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import Member, Roster, RosterLink, whole_member
from positions_mcp.domain.operation.statements import TERMINAL, Credential, Passkey, PassphraseKey, Statement
from positions_mcp.domain.text import clean, quoted
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Person, Touch, Touches
from positions_mcp.signing.keys import ScryptCost, Unlocked, new_key, opens, unlock
from positions_mcp.signing.rosters import RosterChain, next_roster, statement_of
from positions_mcp.signing.statements import sign

T = TypeVar("T")
Change = Callable[[RosterChain], Sequence[Member]]
"""The members as they are to be, from those that stand."""


def adding(name: str, passkey: Passkey) -> Change:
    return lambda chain: _with_credentials(chain, name, lambda held: (*held, passkey))


def removing(fingerprint: str, shown: str) -> Change:
    """A passkey that counts no longer. `shown` is the head of the rosters as the person saw them."""

    def change(chain: RosterChain) -> Sequence[Member]:
        if chain.head != shown:
            raise Refused("The list of approvers has changed since it was shown.", hint="Look at it again.")
        member, credential = (chain.roster and chain.roster.holder_of(fingerprint)) or (None, None)
        if member is None or not isinstance(credential, Passkey):
            raise Refused(f"There is no passkey {fingerprint:.12}.", hint="Look at the list again.")
        return _with_credentials(chain, member.name, lambda held: tuple(each for each in held if each != credential))

    return change


def adding_member(member: Member) -> Change:
    return lambda chain: [*chain.members, member]


def removing_member(name: str) -> Change:
    """A person who decides no more."""
    return lambda chain: _with(chain, name, lambda _: ())


def changing_member(name: str, /, **changes: object) -> Change:
    """A person with other rights, or another name."""
    return lambda chain: _with(chain, name, lambda member: (member.changed(**changes),))


def replacing_key(name: str, key: PassphraseKey) -> Change:
    """Another passphrase for a person, whose passkeys stay."""
    return lambda chain: _with_credentials(
        chain, name, lambda held: tuple(key if isinstance(each, PassphraseKey) else each for each in held)
    )


class Enrolling:
    """Changes of who may decide with what."""

    def __init__(self, deps: Dependencies, touches: Touches) -> None:
        self._deps = deps
        self._touches = touches
        self._approvals = ApprovalCheck(deps)

    async def rosters(self) -> RosterChain:
        """Everybody who may decide. Raises Refused where that was changed otherwise than signed."""
        return await self._approvals.rosters()

    async def begin(self, name: str, unlocked: Unlocked) -> Member:
        """The first person, who has every right and signs for themselves. Raises Refused where there is somebody."""
        chain = await self.rosters()
        if chain.roster is not None:
            raise Refused("There is an approver already.", hint="Replacing it needs its passphrase.")
        member = _checked(lambda: whole_member(name, unlocked.key))
        roster = next_roster(chain, [member])
        await self._sign(roster, member, unlocked, TERMINAL)
        return member

    async def member(self, name: str = "") -> Member:
        """Who is called so; the only one, where no name is said. Raises Refused."""
        roster = (await self.rosters()).roster
        if roster is None:
            raise Refused("No approver is set up.", hint=f"Run: `{self._deps.command('approver init')}`")
        member = roster.member(name) if name else roster.only
        if member is None:
            names = ", ".join(each.name for each in roster.members)
            said = f"Nobody called {quoted(name, 40)} approves here." if name else "Several people approve here."
            raise Refused(said, hint=f"Say who you are: {names}.")
        return member

    async def unlocked(self, name: str, passphrase: str) -> tuple[Member, Unlocked]:
        """A person with their key, for one signature. Raises WrongPassphrase, Refused."""
        member = await self.member(name)
        key = next((each for each in member.credentials if isinstance(each, PassphraseKey)), None)
        if key is None:
            raise Refused(f"{member.name} has no passphrase.", hint="Nothing was decided. Use a passkey.")
        return member, await in_thread(unlock, key, passphrase)

    async def signer(self, name: str, passphrase: str, origin: str) -> tuple[Person, Unlocked]:
        """Who is about to sign with their passphrase, at which page or terminal, and its key. Raises as `unlocked`."""
        member, key = await self.unlocked(name, passphrase)
        return Person(member.name, key.key.fingerprint, clean(origin, 120)), key

    async def proposed(self, change: Change) -> Roster:
        """What a change would make of it, to be shown before it is signed. Raises Refused."""
        chain = await self.rosters()
        return _checked(lambda: next_roster(chain, change(chain)))

    async def with_passphrase(
        self, change: Change, name: str, passphrase: str, *, origin: str, shown: Roster | None = None
    ) -> Roster:
        """Change it to what was shown, signed with the passphrase of a member who may. Raises Refused."""
        member = _who_manages(await self.member(name))
        member, unlocked = await self.unlocked(member.name, passphrase)
        roster = await self.proposed(change)
        if shown not in (None, roster):
            raise Refused("The list of approvers has changed since it was shown.", hint="Look at it again.")
        await self._sign(roster, member, unlocked, origin)
        return roster

    async def new_key(self, name: str, passphrase: str, *, hardness: ScryptCost | None = None) -> PassphraseKey:
        """The key of a passphrase that somebody chose. Raises Refused where it is another member's as well.

        One passphrase for two people would let whoever knows it be both.
        """
        for member in (await self.rosters()).members:
            for each in member.credentials:
                if member.name != name and isinstance(each, PassphraseKey) and await in_thread(opens, each, passphrase):
                    raise Refused("That passphrase is somebody else's already.", hint="Choose another one.")
        return (await in_thread(partial(new_key, passphrase, self._deps.clock.now(), hardness=hardness))).key

    async def replace_own_key(self, name: str, passphrase: str, key: PassphraseKey) -> Member:
        """Another passphrase in place of one's own, signed with the old one: everybody may change that much."""
        member, unlocked = await self.unlocked(name, passphrase)
        roster = await self.proposed(replacing_key(member.name, key))
        await self._sign(roster, member, unlocked, TERMINAL)
        return next(each for each in roster.members if each.name == member.name)

    async def _sign(self, roster: Roster, member: Member, unlocked: Unlocked, origin: str) -> None:
        link = RosterLink(roster=roster, signed=sign(self._statement(roster, member, unlocked.key, origin), unlocked))
        await in_thread(self._deps.store.set_roster, link, self._deps.clock.now())

    async def with_touch(self, change: Change, who: Person) -> Touch:
        """The same as something to sign with a passkey that counts already."""
        member = _who_manages(await self._touches.member(who.name))
        credential = next((each for each in member.credentials if each.fingerprint == who.fingerprint), None)
        if credential is None:
            raise Refused(f"Passkey {who.fingerprint:.12} is none of {member.name}'s.", hint="Nothing was changed.")
        roster = await self.proposed(change)
        return await self._touches.change(roster, self._statement(roster, member, credential, who.origin), who)

    def _statement(self, roster: Roster, member: Member, credential: Credential, origin: str) -> Statement:
        now = self._deps.clock.now()
        return statement_of(roster, member, credential.fingerprint, origin=origin, note="", now=now)


def _who_manages(member: Member) -> Member:
    if not member.manages:
        raise Refused(f"{member.name} may not change who approves.", hint="Nothing was changed.")
    return member


def _checked(make: Callable[[], T]) -> T:
    """What is made, where it can be. Raises Refused with the reason."""
    try:
        return make()
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise Refused(f"The list of approvers cannot become that: {why}.", hint="Nothing was changed.") from error


def _called(chain: RosterChain, name: str) -> Member:
    meant = chain.member(name)
    if meant is None:
        raise Refused(f"Nobody called {quoted(name, 40)} approves here.", hint="Nothing was changed.")
    return meant


def _with_credentials(
    chain: RosterChain, name: str, changed: Callable[[tuple[Credential, ...]], tuple[Credential, ...]]
) -> Sequence[Member]:
    return _with(chain, name, lambda member: (member.changed(credentials=changed(member.credentials)),))


def _with(chain: RosterChain, name: str, instead: Callable[[Member], tuple[Member, ...]]) -> Sequence[Member]:
    """The members with others, or none, in place of the one of that name. Raises Refused where there is none."""
    meant = _called(chain, name)
    return [each for member in chain.members for each in (instead(member) if member == meant else (member,))]

"""What a person decides: frozen as a statement first, signed with a passphrase or by one touch, and then used.

A passkey signs on the person's device, so the statement goes there and its signature comes back. Nothing that is
decided comes from the browser: it is what was frozen, or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.operation import Conclusion, Decision, Operation, Row
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import Member, Roster, RosterLink
from positions_mcp.domain.operation.statements import Credential, Passkey, Purpose, SignedStatement, Statement
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.text import clean
from positions_mcp.guard.approval.check import APPROVE, ApprovalCheck, may_resume, may_say_yes, may_settle, signing
from positions_mcp.guard.deciding import digest_of_halts, digest_of_row, settled, to_approve, to_resume, to_settle
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread
from positions_mcp.signing.keys import Unlocked
from positions_mcp.signing.passkeys import signed_by
from positions_mcp.signing.statements import sign

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Who is about to sign with which credential, at which page or terminal."""

    name: str
    fingerprint: str
    origin: str

    def says(self, purpose: Purpose, decision: str, digest: str, at: datetime, **more: Any) -> Statement:
        """The statement that they are to sign; `more` are its other fields."""
        who = {"name": self.name, "credential": self.fingerprint, "origin": self.origin}
        return Statement(purpose=purpose, decision=decision, digest=digest, decided_at=at, **who, **more)


@dataclass(frozen=True, slots=True)
class Touch:
    """What is signed once, and what is done with the signature."""

    statement: Statement
    credential: Credential
    use: Callable[[SignedStatement], Awaitable[Told | None]]
    """Answers what the person is to be told of it, where there is something."""

    @property
    def passkey(self) -> Passkey:
        """The passkey that is to sign. Raises Refused where it is a passphrase's key."""
        if isinstance(self.credential, Passkey):
            return self.credential
        raise Refused(f"{self.credential.fingerprint} is no passkey.", hint="Nothing was decided.")

    def as_frozen(self, statement: Statement) -> Touch:
        """The same with the statement that was frozen for it. Raises Refused where it would be another by now."""
        times = {"decided_at": statement.decided_at, "expires_at": statement.expires_at}
        if self.statement.changed(**times) != statement:
            raise Refused("What was to be signed has changed since.", hint="Nothing was decided. Look again.")
        return replace(self, statement=statement)

    async def sign(self, key: Unlocked) -> Told | None:
        """Do it, signed with a passphrase's key."""
        return await self.use(sign(self.statement, key))

    async def finish(self, answer: Mapping[str, Any]) -> Told | None:
        """Do it, if a browser's answer is the signature. Raises Refused."""
        return await self.use(await in_thread(signed_by, self.passkey, self.statement, answer))


class Touches:
    """Each decision of a person as something to sign."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._approvals = ApprovalCheck(deps)

    async def approval(self, operation_id: str, who: Person, *, digest: str | None, note: str) -> Touch:
        """A yes to the plan that was shown. It lapses as any other: its time begins when it is frozen.

        Where it takes two people, the first one's lapses with the plan, and the second one's names it.
        """
        operation = await to_approve(self._deps, operation_id, digest)
        return await self._yes(operation, who, note, Channel.DESK)

    async def flattening(self, operation: Operation, who: Person) -> Touch:
        """A person's own yes to what they flatten."""
        return await self._yes(operation, who, "", Channel.TERMINAL)

    async def _yes(self, operation: Operation, who: Person, note: str, channel: Channel) -> Touch:
        deps, plan = self._deps, operation.plan
        credential = await self.credential(who)
        yes = await in_thread(partial(may_say_yes, deps, operation, who.name))
        now = deps.clock.now()
        waits = operation.is_previewed or not yes.is_enough
        about = {"mode": plan.mode, "account": plan.account_id, "operation": plan.plan_id, "note": clean(note, 300)}
        until = plan.expires_at if waits else now + deps.policy.approval_lifetime
        beside = yes.first.digest if yes.first else ""
        statement = who.says(Purpose.APPROVAL, APPROVE, plan.digest, now, beside=beside, expires_at=until, **about)
        if yes.is_enough:
            return Touch(statement, credential, partial(self._approve, operation, channel, yes.first))
        return Touch(statement, credential, partial(self._first, operation, yes.void))

    async def resumption(self, who: Person, *, shown: str | None) -> Touch:
        """The end of the halts that were shown; all that stand where none is named."""
        meant = to_resume(await in_thread(self._deps.store.halts), shown or None)
        may_resume(await self.member(who.name), meant)
        said = who.says(Purpose.RESUME, "resume", digest_of_halts(meant), self._deps.clock.now())
        return Touch(said, await self.credential(who), partial(self._resume, meant))

    async def settlement(
        self,
        operation_id: str,
        row_of: int | str,
        conclusion: Conclusion,
        who: Person,
        *,
        evidence: str,
        shown: str | None,
    ) -> Touch:
        """What became of an unknown outcome, as it was shown."""
        operation = await self._deps.operation(operation_id)
        row = to_settle(operation, row_of, conclusion, shown)
        plan = operation.plan
        may_settle(await self.member(who.name), plan.account_id)
        digest, now = digest_of_row(operation, row), self._deps.clock.now()
        about = {"mode": plan.mode, "account": plan.account_id, "operation": operation_id, "note": clean(evidence, 300)}
        said = who.says(Purpose.SETTLEMENT, conclusion.value, digest, now, **about)
        return Touch(said, await self.credential(who), partial(self._settle, operation, row, conclusion))

    async def change(self, roster: Roster, statement: Statement, who: Person) -> Touch:
        """Another roster in place of the one that stands."""
        return Touch(statement, await self.credential(who), partial(self._change, roster))

    async def _first(self, operation: Operation, void: SignedStatement | None, signed: SignedStatement) -> None:
        say = partial(self._deps.store.say_yes_first, instead_of=void)
        await in_thread(say, operation.operation_id, signed, self._deps.clock.now())
        self._deps.decided.tell()

    async def _approve(
        self, operation: Operation, channel: Channel, first: SignedStatement | None, signed: SignedStatement
    ) -> None:
        said = signed.statement
        if said.expires_at is None:
            raise Refused("An approval that never lapses is none.")
        decision = Decision(
            operation_id=operation.operation_id,
            digest=said.digest,
            channel=channel,
            approved=True,
            by=signed.by,
            decided_at=said.decided_at,
            expires_at=said.expires_at,
            note=said.note,
            origin=said.origin,
            of_preview=operation.is_previewed,
            signed=signed,
            first=first,
        )
        await in_thread(self._deps.store.decide, decision, self._deps.clock.now())
        self._deps.decided.tell()

    async def _resume(self, meant: tuple[Halt, ...], signed: SignedStatement) -> None:
        may = signing(signed, partial(may_resume, halts=meant))
        clear = partial(self._deps.store.clear_halts, expected=meant, signed=may)
        await in_thread(clear, signed.by, self._deps.clock.now())

    async def _settle(self, operation: Operation, row: Row, conclusion: Conclusion, signed: SignedStatement) -> None:
        now = self._deps.clock.now()
        known = settled(row, conclusion, by=signed.by, evidence=signed.statement.note, now=now)
        may = signing(signed, partial(may_settle, account_id=operation.account_id))
        observe = partial(self._deps.store.observe, event="settled", signed=may)
        await in_thread(observe, operation, [known], now)

    async def _change(self, roster: Roster, signed: SignedStatement) -> None:
        link = RosterLink(roster=roster, signed=signed)
        await in_thread(self._deps.store.set_roster, link, self._deps.clock.now())

    async def credential(self, who: Person) -> Credential:
        """What they are about to sign with. Raises Refused where it is none of theirs."""
        member = await self.member(who.name)
        for each in member.credentials:
            is_of_another_page = isinstance(each, Passkey) and each.origin != who.origin
            if each.fingerprint == who.fingerprint and not is_of_another_page:
                return each
        raise Refused(
            f"Credential {who.fingerprint:.12} is none of {member.name}'s at {who.origin}.", hint="Nothing was decided."
        )

    async def member(self, name: str) -> Member:
        """Who is signed in, as the roster has them now. Raises Refused where it has them no more."""
        member = (await self._approvals.rosters()).member(name)
        if member is None:
            raise Refused(f"{name} is no approver any more.", hint="Nothing was decided.")
        return member

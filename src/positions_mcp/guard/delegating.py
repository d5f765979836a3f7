"""What a person does about mandates, at a terminal or the desk: draft, sign, look, revoke. No tool reaches this."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from pydantic import ValidationError

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.mandate import LONGEST_SHADOW, Mandate, ShadowNote, Standing
from positions_mcp.domain.operation.statements import TERMINAL, SignedStatement
from positions_mcp.domain.operation.terms import MandateTerms, Window
from positions_mcp.domain.text import clean
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.approval.mandates import why_may_not_sign, why_not_signed
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.planner import short_id
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Person, Touch, Touches


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a draft would have done with one plan, counting those of the same New York day that it let through."""

    note: ShadowNote
    why_not: tuple[str, ...]


class Delegation:
    """A person's means over mandates."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._approvals = ApprovalCheck(deps)
        self._touches = Touches(deps)
        self._enrolling = Enrolling(deps, self._touches)

    @property
    def accounts(self) -> frozenset[AccountId]:
        return self._deps.policy.accounts

    async def draft(self, terms: MandateTerms, *, by: str, shadow: timedelta) -> Mandate:
        """A draft, which notes for a while what it would have let through. It lets nothing through."""
        now = self._deps.clock.now()
        mandate = Mandate(
            mandate_id=short_id(self._deps.ids.new(), of="ma"),
            terms=terms,
            drafted_by=clean(by, 60) or "unnamed",
            drafted_at=now,
            shadow_until=now + min(shadow, LONGEST_SHADOW),
        )
        await in_thread(self._deps.store.draft_mandate, mandate, now)
        return mandate

    async def sign(
        self, mandate_id: str, passphrase: str, *, digest: str, day: date | None = None, name: str = "", note: str = ""
    ) -> Standing:
        """Sign a draft with a passphrase, as `signing` says. `name` says whose, where there are several approvers."""
        who, key = await self._enrolling.signer(name, passphrase, TERMINAL)
        touch = await self.signing(mandate_id, who, digest=digest, day=day, note=note)
        await touch.sign(key)
        return await self.show(mandate_id)

    async def signing(
        self, mandate_id: str, who: Person, *, digest: str, day: date | None = None, note: str = ""
    ) -> Touch:
        """A draft as something to sign, for one New York trading day: today, or the next one.

        `digest` is that of the draft as it was shown: another one that is stored by now is not signed. Raises
        InvalidInput where there is no such draft or day; Refused where it is no draft any more or not what was shown,
        or that person may not sign it.
        """
        draft = (await in_thread(self._deps.store.standing, mandate_id)).mandate
        if not draft.is_draft:
            raise Refused(f"Mandate {mandate_id} is no draft any more.", hint="Nothing was signed.")
        if draft.digest != digest:
            raise Refused(f"Mandate {mandate_id} is not the draft that was shown.", hint="Nothing was signed.")
        member = await self._touches.member(who.name)
        of_account = self._deps.policy.within(draft.terms.account_id, "")
        for why in why_may_not_sign(member, draft.terms, of_account.two_persons_above):
            raise Refused(why, hint="Nothing was signed.")
        window, now = self.window(draft.terms, day), self._deps.clock.now()
        statement = draft.statement(
            window, name=member.name, credential=who.fingerprint, origin=who.origin, note=clean(note, 300), now=now
        )
        return Touch(statement, await self._touches.credential(who), partial(self._sign, draft, window))

    async def _sign(self, draft: Mandate, window: Window, signed: SignedStatement) -> None:
        mandate = draft.changed(window=window, signed=signed)
        await in_thread(self._deps.store.sign_mandate, mandate, self._deps.clock.now())

    def window(self, terms: MandateTerms, day: date | None = None) -> Window:
        """When a mandate would hold if it were signed now for a day. Raises InvalidInput where that cannot be."""
        now, calendar = self._deps.clock.now(), self._deps.calendar
        today = new_york_day(now)
        first = calendar.next_session(today).day
        allowed = [first, calendar.next_session(first + timedelta(days=1)).day]
        for each in [day] if day else allowed:
            if each not in allowed:
                raise InvalidInput(
                    f"A mandate is signed for {allowed[0]} or {allowed[1]}, and not for {each}.",
                    hint="Those are the next New York trading days. Nothing was signed.",
                )
            try:
                return terms.window(each, now)
            except ValidationError:
                continue
        raise InvalidInput(f"On {day or first} it would be over already.", hint="Nothing was signed.")

    async def revoke(self, mandate_id: str, *, by: str) -> Mandate:
        """Take a mandate back, or throw a draft away. It needs no passphrase: it only lowers what can be sent."""
        now = self._deps.clock.now()
        return await in_thread(self._deps.store.revoke_mandate, mandate_id, clean(by, 60) or "unnamed", now)

    async def list(self) -> tuple[Standing, ...]:
        """Every mandate and draft, newest first, as they stand."""
        return await in_thread(self._deps.store.mandates)

    async def show(self, mandate_id: str) -> Standing:
        """One mandate with its uses. Raises InvalidInput where there is none."""
        return await in_thread(self._deps.store.mandate, mandate_id)

    async def shadows(self, standing: Standing) -> Sequence[Shadow]:
        """What it would have done with the plans that were made while it was a draft, oldest first."""
        notes = await in_thread(self._deps.store.shadows, standing.mandate.mandate_id)
        return tuple(_replayed(standing.mandate.terms, notes))

    async def state(self, standing: Standing) -> str:
        """How it stands, in a word or two."""
        mandate, now = standing.mandate, self._deps.clock.now()
        if mandate.revoked is not None:
            return "thrown away" if mandate.signed is None else "revoked"
        if mandate.window is None:
            return "draft" if now >= mandate.shadow_until else "draft, noting plans"
        if now >= mandate.window.ends:
            return "ended"
        if await self.why_not_signed(standing):
            return "NOT SIGNED by who may"
        if now < mandate.window.begins:
            return "signed, not begun"
        return "used up" if not standing.operations_left else "in force"

    async def why_not_signed(self, standing: Standing) -> str:
        """Why a signature counts for nothing by the roster that stands now; empty where it counts, or there is none."""
        if standing.mandate.signed is None:
            return ""
        return why_not_signed(standing.mandate, (await self._approvals.rosters()).roster)


def _replayed(terms: MandateTerms, notes: Iterable[ShadowNote]) -> Iterable[Shadow]:
    """In the order in which plans were made, each target once a day, until operations or dollars are used up."""
    passed: dict[date, dict[str, ShadowNote]] = {}
    for note in notes:
        sent = passed.setdefault(new_york_day(note.at), {})
        others = [each.measure for key, each in sent.items() if key != note.target_key]
        why_not = [*note.why_not]
        if not why_not and len(others) >= terms.operations:
            why_not.append(f"All {terms.operations} of its operations would have been used that day.")
        if not why_not and (left := terms.in_all - exact_sum(others)) < note.measure:
            why_not.append(f"${note.measure:,f} is more than the ${left:,f} that would have been left that day.")
        if not why_not:
            sent[note.target_key] = note
        yield Shadow(note, tuple(why_not))

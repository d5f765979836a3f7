"""What the page shows, read from the store and the account as they are now. Shapes are JSON, for `static/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from positions_mcp.desk import accounts
from positions_mcp.desk.answers import search_of
from positions_mcp.desk.following import Following, is_moving
from positions_mcp.desk.shapes import callers_today, halts_seen, limit_of, not_known
from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import InvalidInput, UpstreamError
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Mode, Plan
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.search import Search
from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import quoted
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.deciding import digest_of_row
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.kinds import WORDS
from positions_mcp.guard.reports import first_yes_said, overview, report
from positions_mcp.guard.sending.heartbeat import Heartbeat
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Touches
from positions_mcp.guard.withdrawing import Withdrawing
from positions_mcp.ports import Clock
from positions_mcp.ports.beside import SessionStore

_MOST_SHOWN = 500
_MOST_ENTRIES = 200
_FIRST_ORDERS = 3
_PAGE = 50
_OF_AN_ENTRY = {"sequence", "at", "event", "content", "hash"}
_ON_THEIR_WAY = (OperationState.APPROVED, OperationState.SENDING)


class Desk:
    """What the page is built of. It decides the operations of either mode; it reads the accounts of its own."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._supervisors = {mode: Supervisor(replace(deps, mode=mode)) for mode in Mode}
        self.delegation = Delegation(deps)
        self._touches = {mode: Touches(replace(deps, mode=mode)) for mode in Mode}
        self.withdrawing = Withdrawing(deps, self._touches[deps.mode])
        """What a person cancels, of the mode and the accounts that it reads."""
        self.enrolling = Enrolling(deps, self._touches[deps.mode])
        """Who may decide with which passkeys: that is the same in both modes."""
        self._following = Following(deps, self.supervisor)
        self.heartbeat = Heartbeat(deps, sends=False)
        """Lets the servers of the store find a page that runs alone."""

    @property
    def mode(self) -> Mode:
        """The mode of the accounts it reads."""
        return self._deps.mode

    @property
    def session_store(self) -> SessionStore:
        return self._deps.store

    @property
    def clock(self) -> Clock:
        """Real time: what plans expire by."""
        return self._deps.clock

    @property
    def command(self) -> Callable[[str], str]:
        """Words a command as it is pasted in a terminal."""
        return self._deps.command

    @property
    def supervisor(self) -> Supervisor:
        """Who signs in, halts and resumes: that is the same in both modes."""
        return self._supervisors[self.mode]

    def supervisor_of(self, operation: Operation) -> Supervisor:
        """Who decides an operation, by its mode."""
        return self._supervisors[operation.plan.mode]

    def touches_of(self, operation: Operation | None) -> Touches:
        """What is signed with a passkey: about an operation, by its mode, or about what is the same in both."""
        return self._touches[operation.plan.mode if operation else self.mode]

    def count_passkey(self, passkey: Passkey, assertion: PasskeyAssertion) -> None:
        """Note that a passkey was used to sign in. Blocking. Raises Refused where it was copied."""
        self._deps.store.count_passkey(passkey, assertion, self._deps.clock.now())

    async def passkeys_of(self, name: str, page: str) -> list[dict[str, str]]:
        member = (await self.enrolling.rosters()).member(name)
        held = [each for each in (member.credentials if member else ()) if isinstance(each, Passkey)]
        return [{"fingerprint": each.fingerprint, "label": each.label} for each in held if each.origin == page]

    def words_of(self, operation: Operation) -> Sequence[str]:
        """The lines of the question."""
        return question(operation.plan).split("\n")

    async def operation(self, operation_id: str) -> Operation:
        found = await in_thread(self._deps.store.operation, operation_id)
        if found is None:
            raise InvalidInput(f"There is no operation {quoted(operation_id, 40)}.")
        return found

    async def seen(self, operation_id: str, member: Member) -> Operation:
        """A stored operation of an account that somebody sees. Raises InvalidInput, as where there is none."""
        found = await self.operation(operation_id)
        if not member.sees(found.account_id):
            raise InvalidInput(f"There is no operation {quoted(operation_id, 40)}.")
        return found

    async def queue(self, member: Member) -> dict[str, Any]:
        """What waits for a person, nearest expiry first, and what is on its way, in the accounts that they see."""
        await self.supervisor.note_time()
        now = self._deps.clock.now()
        waiting = await in_thread(self._deps.store.waiting, now, _MOST_SHOWN)
        moving = await in_thread(self._deps.store.in_stages, (Stage.APPROVED, Stage.CLAIMED), _MOST_SHOWN)
        on_their_way = [each for each in moving if each.state(now) in _ON_THEIR_WAY and member.sees(each.account_id)]
        mine = [each for each in waiting if member.sees(each.account_id) and not each.plan.flatten]
        return {
            "now": now.isoformat(),
            "waiting": [self.in_brief(operation, now) for operation in mine],
            "moving": [self.in_brief(operation, now) for operation in on_their_way],
            "halts": halts_seen(await in_thread(self._deps.store.halts), member),
        }

    def in_brief(self, operation: Operation, now: datetime) -> dict[str, Any]:
        """One line of the queue or the history."""
        plan = operation.plan
        question = self.words_of(operation)
        said = report(operation, now)
        return {
            "id": operation.operation_id,
            "mode": plan.mode.shown,
            "account": str(plan.account_id),
            "kind": plan.kind.value,
            "state": said.state.value,
            "asked": operation.stage is Stage.AWAITING_APPROVAL,
            "caller": plan.caller,
            "heading": question[0].partition(": ")[2] or question[0],
            "orders": question[1 : 1 + min(_FIRST_ORDERS, len(plan.targets))],
            "more": max(len(plan.targets) - _FIRST_ORDERS, 0),
            "symbols": [target.called for target in plan.targets[:_FIRST_ORDERS]],
            "notional": f"{plan.measure:,f}",
            "headline": said.headline,
            "mandate": operation.decision.mandate if operation.decision else "",
            "created_at": plan.created_at.isoformat(),
            "expires_at": plan.expires_at.isoformat(),
            "updated_at": operation.updated_at.isoformat(),
            "in_doubt": any(row.is_in_doubt for row in operation.rows),
        }

    async def story(self, operation_id: str, member: Member) -> dict[str, Any]:
        """One operation whole: what is asked, what became of each row, what was decided, and its journal."""
        operation = await self.seen(operation_id, member)
        now = self._deps.clock.now()
        plan, said = operation.plan, report(operation, now)
        entries = await in_thread(self._deps.store.journal, operation_id, limit=_MOST_ENTRIES)
        first = await in_thread(first_yes_said, self._deps.store, operation)
        return self.in_brief(operation, now) | {
            "now": now.isoformat(),
            "digest": plan.digest,
            **await self._sender_of(plan, now),
            "question": self.words_of(operation),
            "warnings": list(plan.warnings),
            "purpose": plan.purpose,
            "policy": plan.policy,
            "rights": ", ".join(plan.rights),
            "limits": await self._limits_of(plan),
            "can_decide": operation.stage.is_open and not plan.is_expired(now) and not plan.flatten,
            "approved_until": operation.decision.expires_at.isoformat() if operation.decision else None,
            "stage": operation.stage.value,
            "reason": said.reason,
            "decision": said.decision or first,
            "next_step": said.next_step,
            "alarms": list(said.alarms),
            "moving": is_moving(operation),
            "not_followed": self._following.why_not(operation),
            "rows": [row.model_dump(mode="json") for row in said.rows],
            "doubtful": [
                {
                    "row": row.position,
                    "symbol": plan.targets[row.position].symbol,
                    "planned": WORDS[plan.kind].row(plan, row).planned,
                    "detail": row.detail,
                    "digest": digest_of_row(operation, row),
                }
                for row in operation.rows
                if row.is_in_doubt
            ],
            "journal": [entry.model_dump(mode="json", include=_OF_AN_ENTRY) for entry in entries],
        }

    async def _sender_of(self, plan: Plan, now: datetime) -> dict[str, Any]:
        """Whether a server is alive to send a plan, since when each that could is silent, and what is not known."""
        able = [server for server in await in_thread(self._deps.store.servers, now) if server.can_send(plan)]
        mine, here = self._deps.policy.fingerprint, self._deps.policy_of(plan).fingerprint
        others = sum(server.policy not in ("", mine) for server in able)
        said = [f"{others} of {len(able)} servers that could send it have other ones"] if others else []
        said += [f"it was planned under policy {plan.policy}"] if plan.policy not in ("", here) else []
        limits = f"By which limits it is judged before it is sent: those of this page are policy {here}, "
        is_another = bool(said) and plan.mode is self.mode
        return {
            "sender_alive": bool(able),
            "sender_silent_s": min((server.silent_s(now) for server in able), default=0),
            "not_known": [*not_known(plan), *([f"{limits}{' and '.join(said)}."] if is_another else [])],
        }

    async def _limits_of(self, plan: Plan) -> list[dict[str, str | None]] | None:
        """What the plan counts for against the limits, and what of each is used; None where they are another mode's."""
        if plan.mode is not self.mode:
            return None
        policy, today = self._deps.policy_of(plan), new_york_day(self._deps.market_clock.now())
        used = await in_thread(self._deps.store.used, plan.mode, plan.account_id, today)
        rows: list[tuple[str, Decimal, Decimal, object]] = [
            ("notional of one operation", ZERO, plan.measure, policy.max_notional),
            ("notional of the account today", used, plan.measure, policy.max_daily_notional),
            ("targets of one operation", ZERO, Decimal(len(plan.targets)), policy.max_positions),
        ]
        return [
            {"name": name, "used": f"{before:,f}", "plan": f"{adds:,f}", "limit": limit_of(limit)}
            for name, before, adds, limit in rows
        ]

    async def followed(self, operation_id: str, member: Member) -> dict[str, Any]:
        """The story after the account was read again, as often as that may be."""
        await self._following.look(await self.seen(operation_id, member))
        return await self.story(operation_id, member)

    async def history(self, wanted: Mapping[str, str], member: Member) -> dict[str, Any]:
        """Operations newest first, filtered by what is wanted, and above them everything that is in doubt."""
        search = replace(search_of(wanted), accounts=member.only_sees)
        await self.supervisor.note_time()
        now, after = self._deps.clock.now(), wanted.get("after", "")
        found = await in_thread(self._deps.store.search, search, now, after=after, limit=_PAGE)
        doubtful = () if after else await self._in_doubt(now, member)
        return {
            "now": now.isoformat(),
            "in_doubt": [self.in_brief(operation, now) for operation in doubtful],
            "operations": [self.in_brief(operation, now) for operation in found.operations],
            "after": found.after,
            "states": [each.value for each in OperationState],
            "kinds": [each.value for each in Kind],
        }

    async def _in_doubt(self, now: datetime, member: Member) -> Sequence[Operation]:
        search = Search(in_doubt=True, accounts=member.only_sees)
        found = await in_thread(self._deps.store.search, search, now, limit=_MOST_SHOWN)
        return found.operations

    async def book_of(self, operation: Operation) -> Book | None:
        """The account of an operation, where it is one that this page reads."""
        return None if operation.plan.mode is not self.mode else await self.book(operation.account_id)

    async def book(self, account: AccountId) -> Book | None:
        """The account as it is now; None where it cannot be read, or is not one of this page's."""
        if account not in self._deps.policy.accounts:
            return None
        try:
            return await self._deps.positions.read_book(account)
        except UpstreamError:
            return None

    async def pictures(self, account: AccountId) -> list[dict[str, Any]]:
        """P&L, exposure, the expiry ladder and the next expiration evening; none where the account cannot be read."""
        book = await self.book(account)
        if book is None:
            return []
        # A large book is decoded when it is looked at, which nobody else shall wait for.
        drawn = [await in_thread(draw, book) for draw in (accounts.profit, accounts.exposure, accounts.ladder)]
        evening = await accounts.projected(self._deps, account)
        return [each.as_data() for each in (*drawn, *([accounts.tonight(evening)] if evening else []))]

    async def state(self, member: Member) -> dict[str, Any]:
        """Limits and what is used of them, the halt, the store and the head of its journal."""
        status = await in_thread(overview, self._deps)
        last = await in_thread(self._deps.store.journal, limit=1)
        policy, now = status.policy, self._deps.clock.now()
        return {
            "now": now.isoformat(),
            "mode": self.mode.shown,
            "halts": halts_seen(status.halts, member),
            "approver": status.approver_set,
            "trading": policy.trading_enabled,
            "policy": policy.fingerprint,
            "limits": {
                "per operation": limit_of(policy.max_notional),
                "per day": limit_of(policy.max_daily_notional),
                "targets per operation": limit_of(policy.max_positions),
            },
            "accounts": [
                {
                    "account": str(use.account_id),
                    "used_today": f"{use.used_today:,f}",
                    "most_today": limit_of(policy.max_daily_notional),
                    "in_doubt": list(use.in_doubt),
                    "following": list(use.following),
                }
                for use in status.use
                if member.sees(use.account_id)
            ],
            "callers": await in_thread(callers_today, self._deps, member),
            "servers": [
                {
                    "process": server.process,
                    "mode": server.mode.shown,
                    "accounts": [str(account) for account in server.accounts if member.sees(account)],
                    "sends": server.sends,
                    "silent_s": server.silent_s(now),
                }
                for server in await in_thread(self._deps.store.servers, now)
            ],
            "store": {"writable": status.store.writable, "reason": status.store.reason, "place": status.store.place},
            "journal": {"entries": last[-1].sequence, "head": last[-1].hash} if last else None,
        }

    async def newest(self) -> int:
        return await in_thread(self._deps.store.newest)

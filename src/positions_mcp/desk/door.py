"""Signing in and out, and what stands before every other route: a cookie, a token, and one guess at a time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import body_of, mapping_of, page_of, said, text_of
from positions_mcp.desk.events import Changes
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import LONGEST, MOST_WRONG, PATIENCE, Session, Sessions, to_prove
from positions_mcp.domain.errors import PositionsError, Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Passkey
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports.beside import StoredSession
from positions_mcp.signing.keys import Unlocked, WrongPassphrase
from positions_mcp.signing.passkeys import recognised

SESSION_HEADER = "x-desk-token"
PERSON_HEADER = "x-desk-person"
"""Says that a person moved: what a page reads by itself keeps nobody signed in."""
BY = "the supervisor's page"
_MOST_SIGNING_IN = 8
Handler = Callable[[Request, Session], Awaitable[Response]]


def by(session: Session) -> str:
    """Who did what takes no signature, for the record."""
    return f"{session.name} at the page"


@dataclass(eq=False)
class Door:
    """Lets in who has the passphrase, and keeps a record of who tried."""

    desk: Desk
    sessions: Sessions
    changes: Changes
    cookie: str
    """The cookie's name: with the port, because a browser sends cookies to every port of a host."""

    def __post_init__(self) -> None:
        """One passphrase is tried at a time by who is not signed in: scrypt is slow on purpose."""
        self._signing_in = anyio.Lock()
        self._entering = Entering(self.desk)

    async def look(self, _: Request) -> Response:
        """What a page may know before anybody is signed in: the mode, and whether one or several may sign in at all."""
        roster = (await self.desk.enrolling.rosters()).roster
        several = roster is not None and roster.only is None
        shown = {"mode": self.desk.mode.shown, "approver": roster is not None, "several": several}
        return JSONResponse(shown | ({} if roster else {"command": self.desk.command("approver init")}))

    async def sign_in(self, request: Request) -> Response:
        """`{passphrase}`, `name` where several approve → `{token, seconds}` and a cookie. An earlier session ends.

        With `{offer, assertion}` for the passphrase where a passkey was asked for.
        """
        body = await body_of(request)
        name = text_of(body, "name", "")
        if "assertion" in body:
            return await self._entered(request, name, body)
        passphrase = text_of(body, "passphrase")
        if self._signing_in.statistics().tasks_waiting >= _MOST_SIGNING_IN:
            return said(429, "Too many are signing in at once. Try again in some seconds.")
        async with self._signing_in:
            member, key = await self._check(passphrase, name)
        return await self._opened(request, member, key.key.fingerprint)

    async def ask_passkey(self, request: Request) -> Response:
        """`{name}` → what a browser is to prove, to sign in with a passkey of that person at this page."""
        name = text_of(await body_of(request), "name", "")
        return JSONResponse(await self._entering.ask(name, page_of(request)))

    async def _entered(self, request: Request, name: str, body: dict[str, Any]) -> Response:
        offer, answer = text_of(body, "offer"), mapping_of(body, "assertion")
        try:
            member, passkey = await self._entering.enter(name, page_of(request), offer, answer)
            return await self._opened(request, member, passkey.fingerprint, entered_by=offer)
        except Refused as refused:
            await self.note(None, f"to sign in with a passkey: {refused.message}")
            raise

    async def _opened(
        self, request: Request, member: Member, credential: str, *, entered_by: str | None = None
    ) -> Response:
        await self.sessions.end_of(request.cookies.get(self.cookie, ""))
        self.changes.look_again()
        cookie, token = await self.sessions.open(member, credential, entered_by=entered_by)
        answer = JSONResponse({"token": token, "seconds": int(LONGEST.total_seconds())})
        answer.set_cookie(
            self.cookie, cookie, httponly=True, samesite="strict", path="/", secure=request.url.scheme == "https"
        )
        return answer

    async def sign_out(self, _: Request, session: Session) -> Response:
        await self.sessions.end(session.stored)
        self.changes.look_again()
        answer = JSONResponse({})
        answer.delete_cookie(self.cookie, path="/")
        return answer

    def signed_in(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def route(request: Request) -> Response:
            token = request.headers.get(SESSION_HEADER, "")
            touch = request.method != "GET" or request.headers.get(PERSON_HEADER) == "1"
            stored = await self.sessions.find(request.cookies.get(self.cookie, ""), token, touch=touch)
            if stored is None:
                if request.method != "GET":
                    await self.note_attempt(request.path_params.get("operation_id"), "a page that is not signed in")
                return said(401, "Sign in first.")
            if (member := await self._member(stored)) is None:
                await self.sessions.end(stored)
                self.changes.look_again()
                why = f"{stored.name} is no approver any more, or with another passphrase: sign in again."
                return said(401, why)
            return await handler(request, self.sessions.of(stored, member))

        return route

    async def _member(self, stored: StoredSession) -> Member | None:
        """Whose session it is; None where they, or what they signed in with, are no longer of the roster."""
        member = (await self.desk.enrolling.rosters()).member(stored.name)
        known = {each.fingerprint for each in member.credentials} if member else set()
        return member if stored.credential in known else None

    async def stands(self, session: Session) -> bool:
        """Whether a session goes on, as far as the store can say."""
        try:
            return await self.sessions.is_open(session.stored) and await self._member(session.stored) is not None
        except StoreUnavailable:
            return True

    async def with_passphrase(
        self, session: Session, act: Callable[[], Awaitable[object]], operation: Operation | None
    ) -> Response:
        """One guess of a session at a time: what is wrong is counted before the next one is tried."""
        async with session.guessing:
            is_open = await self.sessions.is_open(session.stored)
            tried = await self.sessions.guess(session) if is_open else 0
            if not 0 < tried <= MOST_WRONG:
                await self.note(operation, "a signed-out page")
                return said(401, "Signed out after too many wrong passphrases: sign in again. Nothing was decided.")
            try:
                await act()
            except WrongPassphrase:
                if tried == MOST_WRONG:
                    await self.sessions.end(session.stored)
                    self.changes.look_again()
                await self.note(operation, "a wrong passphrase")
                raise
            except PositionsError as error:
                with suppress(StoreUnavailable):
                    await self.sessions.guess(session, -1)
                await self.note(operation, error.message)
                raise
            with suppress(StoreUnavailable):
                await self.sessions.guess(session, -tried)
        return JSONResponse({})

    async def with_touch(self, act: Callable[[], Awaitable[dict[str, Any]]], operation: Operation | None) -> Response:
        """What a passkey signs takes no guesses; a refusal is written down all the same."""
        try:
            return JSONResponse(await act())
        except PositionsError as error:
            await self.note(operation, error.message)
            raise

    async def note(self, operation: Operation | None, why: str) -> None:
        """Write down a refused attempt: to decide an operation, or else to resume."""
        if operation is None:
            await self.desk.supervisor.note_refusal(None, why, by=BY)
        else:
            await self.desk.supervisor_of(operation).note_refusal(operation.operation_id, why, by=BY)

    async def note_attempt(self, operation_id: str | None, why: str) -> None:
        """The same for an attempt that did not get past the door: where there is such an operation."""
        if operation_id is None:
            return
        try:
            await self.note(await self.desk.operation(operation_id), why)
        except PositionsError:
            return

    async def _check(self, passphrase: str, name: str) -> tuple[Member, Unlocked]:
        try:
            return await self.desk.enrolling.unlocked(name, passphrase)
        except WrongPassphrase:
            await self.note(None, "a wrong passphrase, to sign in")
            raise


@dataclass(eq=False)
class Entering:
    """Makes challenges without keeping them, so that nobody who is not signed in can fill anything up.

    They are sealed with the keys that the servers of a store share. The session that one opens says that it was used.
    """

    desk: Desk

    async def ask(self, name: str, page: str) -> dict[str, Any]:
        """What a browser is to prove, and the offer under which its answer comes back. Raises Refused."""
        member, passkeys = await self._at(name, page)
        until = f"{(self.desk.clock.now() + PATIENCE).timestamp():.0f}"
        nonce = secrets.token_hex(16)
        key, *_ = await self._keys()
        offer = f"{until}.{nonce}.{_seal(key, until, nonce, member.name, page)}"
        return {"offer": offer, "sign": to_prove(self._challenge(offer), passkeys)}

    async def enter(self, name: str, page: str, offer: str, answer: Mapping[str, Any]) -> tuple[Member, Passkey]:
        """Who has answered. Raises Refused: too late, or by no passkey of theirs."""
        member, passkeys = await self._at(name, page)
        now = self.desk.clock.now()
        until, nonce, seal = ([*offer.split("."), "", "", ""])[:3]
        seals = [_seal(key, until, nonce, member.name, page) for key in await self._keys()]
        if not any(hmac.compare_digest(seal.encode(), each.encode()) for each in seals):
            raise Refused("That is not what was to be answered.", hint="Sign in again.")
        if now.timestamp() >= float(until):
            raise Refused("It took longer than a minute.", hint="Sign in again.")
        passkey, assertion = recognised(passkeys, self._challenge(offer), answer)
        await in_thread(self.desk.count_passkey, passkey, assertion)
        return member, passkey

    async def _at(self, name: str, page: str) -> tuple[Member, list[Passkey]]:
        member = await self.desk.enrolling.member(name)
        passkeys = [each for each in member.credentials if isinstance(each, Passkey) and each.origin == page]
        if not passkeys:
            raise Refused(f"{member.name} has no passkey at {page}.", hint="Sign in with the passphrase.")
        return member, passkeys

    async def _keys(self) -> Sequence[str]:
        return await in_thread(self.desk.session_store.sealing_keys, self.desk.clock.now())

    @staticmethod
    def _challenge(offer: str) -> bytes:
        return hashlib.sha256(offer.encode()).digest()


def _seal(key: str, *said: str) -> str:
    return hmac.digest(key.encode(), "\0".join(("sign in at the desk", *said)).encode(), "sha256").hex()

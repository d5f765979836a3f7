"""The part of the operation store about who decides."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import RosterLink
from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion, SignedStatement
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.signing.release_1 import succeeds
from positions_mcp.signing.rosters import RosterChain, why_not_next
from positions_mcp.store import passkeys
from positions_mcp.store.access import Access
from positions_mcp.store.deciders import FIRST_YES
from positions_mcp.store.known import APPROVER_SET, ROSTER_SET
from positions_mcp.store.transaction import Transaction


def keep_approver(transaction: Transaction, approver: Approver, *, replacing: str | None, now: datetime) -> None:
    """Keep the approver's key of 0.1.0, before there is any roster: for a store that takes over an older one's."""
    chain = transaction.rosters()
    held = chain.approvers[-1] if chain.approvers else None
    if chain.links or (held.public_key if held else None) != replacing or approver.previous_public_key != replacing:
        raise Overtaken("The approver is not the one to be replaced.", hint="Replacing it needs the old passphrase.")
    if held is not None and not succeeds(approver, held):
        raise Refused("The approver to be replaced did not endorse the new one.", hint="It needs the old passphrase.")
    content = {"approver": approver.model_dump(mode="json"), "fingerprint": approver.fingerprint}
    transaction.note(APPROVER_SET, "approver", approver.model_dump_json(), now, content)


def keep_roster(transaction: Transaction, link: RosterLink, now: datetime) -> None:
    """Keep who may decide, as who may change it has signed. Raises Refused."""
    if why := why_not_next(transaction.rosters(), link):
        raise Refused(f"The roster was not changed: {why}.", hint="Look at it again.")
    passkeys.use(transaction, link.signed, now)
    content = {"link": link.model_dump(mode="json"), "by": link.signed.by}
    transaction.note(ROSTER_SET, "roster", link.model_dump_json(), now, content)


def keep_first_yes(
    transaction: Transaction,
    operation_id: str,
    signed: SignedStatement,
    now: datetime,
    instead_of: SignedStatement | None,
) -> Operation:
    """Keep the yes of the first of two people; the journal is where it stands."""
    operation = transaction.operation(operation_id)
    if not operation.stage.is_open or operation.plan.is_expired(now):
        raise Overtaken(f"Operation {operation_id} is {operation.state(now)}: nothing to approve.")
    if (said := transaction.first_yes(operation_id)) is not None and said != instead_of:
        raise Overtaken(f"{said.statement.name} has said yes meanwhile.", hint="Look at it again.")
    passkeys.use(transaction, signed, now)
    transaction.append(operation, FIRST_YES, {"signed": signed.model_dump(mode="json"), "by": signed.by}, now)
    return operation


class Deciders(Access):
    """Implements `positions_mcp.ports.ledger.RosterStore`, over what the whole store reads and writes with."""

    def rosters(self) -> RosterChain:
        with self._viewing() as view:
            return view.rosters()

    def set_approver(self, approver: Approver, *, replacing: str | None, now: datetime) -> None:
        """Keep the approver's key of 0.1.0, before there is any roster."""
        with self._writing() as transaction:
            keep_approver(transaction, approver, replacing=replacing, now=now)

    def set_roster(self, link: RosterLink, now: datetime) -> None:
        with self._writing() as transaction:
            keep_roster(transaction, link, now)

    def count_passkey(self, passkey: Passkey, assertion: PasskeyAssertion, now: datetime) -> None:
        with self._writing() as transaction:
            passkeys.count(transaction, passkey, assertion, transaction.at(now))

    def first_yes(self, operation_id: str) -> SignedStatement | None:
        with self._reading() as connection:
            return Transaction(connection).first_yes(operation_id)

    def say_yes_first(
        self, operation_id: str, signed: SignedStatement, now: datetime, *, instead_of: SignedStatement | None
    ) -> Operation:
        return self._change(
            operation_id,
            lambda change: keep_first_yes(change, operation_id, signed, change.at(now), instead_of),
        )

    def approved_by(self, name: str, mode: Mode, account_id: AccountId, day: date, *, beside: str) -> Decimal:
        with self._reading() as connection:
            return Transaction(connection).approved_by(name, mode, account_id, day, beside=beside)

    def declined_since(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[Operation, ...]:
        with self._reading() as connection:
            return Transaction(connection).declined_since(mode, account_id, since)

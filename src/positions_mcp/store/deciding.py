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


class Deciders(Access):
    """Implements `positions_mcp.ports.ledger.RosterStore`, over what the whole store reads and writes with."""

    def rosters(self) -> RosterChain:
        with self._viewing() as view:
            return view.rosters()

    def set_approver(self, approver: Approver, *, replacing: str | None, now: datetime) -> None:
        """Keep the approver's key of 0.1.0, before there is any roster: for a store that takes over an older one's."""
        with self._writing() as transaction:
            chain = transaction.rosters()
            held = chain.approvers[-1] if chain.approvers else None
            is_last = (held.public_key if held else None) == approver.previous_public_key == replacing
            if chain.links or not is_last:
                said = "The approver is not the one to be replaced."
                raise Overtaken(said, hint="Replacing it needs the old passphrase.")
            if held is not None and not succeeds(approver, held):
                said = "The approver to be replaced did not endorse the new one."
                raise Refused(said, hint="It needs the old passphrase.")
            content = {"approver": approver.model_dump(mode="json"), "fingerprint": approver.fingerprint}
            transaction.note(APPROVER_SET, "approver", approver.model_dump_json(), now, content)

    def set_roster(self, link: RosterLink, now: datetime) -> None:
        with self._writing() as transaction:
            if why := why_not_next(transaction.rosters(), link):
                raise Refused(f"The roster was not changed: {why}.", hint="Look at it again.")
            passkeys.use(transaction, link.signed, now)
            content = {"link": link.model_dump(mode="json"), "by": link.signed.by}
            transaction.note(ROSTER_SET, "roster", link.model_dump_json(), now, content)

    def count_passkey(self, passkey: Passkey, assertion: PasskeyAssertion, now: datetime) -> None:
        with self._writing() as transaction:
            passkeys.count(transaction, passkey, assertion, transaction.at(now))

    def first_yes(self, operation_id: str) -> SignedStatement | None:
        with self._reading() as connection:
            return Transaction(connection).first_yes(operation_id)

    def say_yes_first(
        self, operation_id: str, signed: SignedStatement, now: datetime, *, instead_of: SignedStatement | None
    ) -> Operation:

        def work(change: Transaction) -> Operation:
            operation, at = change.operation(operation_id), change.at(now)
            if not operation.stage.is_open or operation.plan.is_expired(at):
                raise Overtaken(f"Operation {operation_id} is {operation.state(at)}: nothing to approve.")
            if (said := change.first_yes(operation_id)) is not None and said != instead_of:
                raise Overtaken(f"{said.statement.name} has said yes meanwhile.", hint="Look at it again.")
            passkeys.use(change, signed, at)
            change.append(operation, FIRST_YES, {"signed": signed.model_dump(mode="json"), "by": signed.by}, at)
            return operation

        return self._change(operation_id, work)

    def approved_by(self, name: str, mode: Mode, account_id: AccountId, day: date, *, beside: str) -> Decimal:
        with self._reading() as connection:
            return Transaction(connection).approved_by(name, mode, account_id, day, beside=beside)

    def declined_since(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[Operation, ...]:
        with self._reading() as connection:
            return Transaction(connection).declined_since(mode, account_id, since)

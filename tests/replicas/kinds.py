"""The other kinds of operations while things break: whole accounts, exercise instructions, mandates, two people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from mcp import Client
from mcp_types import CallToolResult

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import ANYTHING, FIRST_NAME, Member, Rights
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import adding_member
from positions_mcp.signing.keys import new_key
from replicas.campaign import Campaign, Case, Hear, Way, Work
from replicas.cluster import shares
from trading import PASSPHRASE, QUICK

BEN = "the passphrase of Ben"
COVERED = ("AKQ", "BKQ", "CKQ")
"""What a mandate is about, of which it allows two."""
ALLOWED = 2
WHOLE, INSTRUCTIONS = "*", "instructions"
"""How the checker calls the whole account, and its batches of instructions."""
CALL = "AKQ today 5 call"
BOOK = shares(COVERED) + f'[[positions]]\nsymbol = "{CALL}"\nquantity = 5\naverage_price = 6.30\n'
ACCOUNTS = tuple(range(20_001, 20_040))


class OtherKinds(Campaign):
    """An account each to be closed whole, for instructions, and for closes of which a mandate covers two."""

    def works(self, instruments: dict[str, str]) -> Iterator[Work]:
        """In turn, so that any few of them have each kind."""
        options = [symbol for symbol in instruments if symbol not in COVERED]
        for turn, account in enumerate(self.cluster.accounts):
            match turn % 3:
                case 0:
                    yield Work("close_all_positions", account, WHOLE, {})
                case 1:
                    row = {"instrument": options[0], "instruction_type": "EXERCISE", "quantity": "1"}
                    yield Work("submit_instructions", account, INSTRUCTIONS, {"instructions": [row]})
                case _:
                    for symbol in COVERED:
                        yield Work("close_positions", account, instruments[symbol], {"instruments": [symbol]})

    async def begin(self, deps: Dependencies) -> None:
        """A second approver, and a mandate for every account whose closes it is to cover."""
        key = new_key(BEN, deps.clock.now(), hardness=QUICK).key
        ben = Member(name="Ben", credentials=(key,), rights=(Rights(approves=ANYTHING),))
        await self.desk.enrolling.with_passphrase(adding_member(ben), "", PASSPHRASE, origin=TERMINAL)
        self.story.by_two = deps.policy.two_persons_for_close_all
        for account in self.cluster.accounts[2::3]:
            await self._sign(Delegation(deps), AccountId(account))

    async def _sign(self, delegation: Delegation, account: AccountId) -> None:
        terms = MandateTerms(
            mode=Mode.PAPER,
            account_id=account,
            kinds=(MandateKind.CLOSE,),
            instruments=COVERED,
            per_operation=Decimal(1_000_000),
            in_all=Decimal(1_000_000),
            operations=ALLOWED,
        )
        draft = await delegation.draft(terms, by=FIRST_NAME, shadow=timedelta(days=1))
        day = delegation.window(draft.terms).day
        await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest, day=day, name=FIRST_NAME)
        self.story.mandates.append({"mandate": draft.mandate_id, "account": account, "operations": ALLOWED})

    def way_after(self, case: Case) -> Way:
        """A whole account may take two people, who are at the desk."""
        return case.way

    async def _asking(self, client: Client, work: Work, way: Way, hear: Hear) -> CallToolResult:
        return await super()._asking(client, work, "desk" if work.target == WHOLE and self.story.by_two else way, hear)

    async def approve(self, operation_id: str) -> None:
        """By one of them, and by the other too where two are needed."""
        for name, passphrase in ((FIRST_NAME, PASSPHRASE), ("Ben", BEN)):
            self.decided(operation_id, "desk", by=name)
            with suppress(Refused):  # said before, and the answer was lost
                await self.desk.approve(operation_id, passphrase, name=name)
            if not self.story.by_two:
                return

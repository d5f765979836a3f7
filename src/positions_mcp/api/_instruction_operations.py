"""Operations on exercise instructions."""

from __future__ import annotations

from collections.abc import Sequence

from positions_mcp.api import _failures, _requests
from positions_mcp.api._calls import Operations
from positions_mcp.api._requests import Contract
from positions_mcp.api._wire import RowReader
from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest
from positions_mcp.domain.operation.records import Response

_INSTRUCTIONS = RowReader(Instruction)


class InstructionOperations(Operations):
    """Exercise instructions: reading, submitting and cancelling them."""

    _contract: Contract

    async def get_position_instructions(
        self,
        account_id: int,
        instrument_id: str | None = None,
        *,
        underlying_instrument_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Response[list[Instruction]]:
        """The account's exercise instructions: GET `/v1/accounts/{account_id}/positions/instructions`.

        Of one contract where `instrument_id` (UUID or OSI symbol) is given, on one underlying where
        `underlying_instrument_id` (UUID or symbol) is. Rows refused before acceptance are
        never listed.
        """
        request = _requests.instructions(account_id, instrument_id, underlying_instrument_id)
        return await self._calls.read_rows(request, _INSTRUCTIONS.of(account_id), timeout_s=timeout_s)

    async def submit_position_instructions(
        self, account_id: int, instructions: Sequence[InstructionRequest], *, timeout_s: float | None = None
    ) -> Response[list[Instruction]]:
        """Submit a batch of instructions: POST `/v1/accounts/{account_id}/positions/instructions`.

        Whenever rows come they are the answer, whatever the `status` (200 all sent, 207 some refused, 4xx or 5xx
        all refused) and whatever `error` says: read each row's own status. A refusal without rows raises
        RequestRejected, also for 503 where the body is the API's own (clearing is unavailable).
        """
        request = _requests.submit(account_id, instructions, self._contract)
        return await self._calls.submit_rows(request, _INSTRUCTIONS, timeout_s=timeout_s)

    async def cancel_position_instruction(
        self, account_id: int, instruction_id: str, *, timeout_s: float | None = None
    ) -> Response[Instruction]:
        """Ask for one instruction to be cancelled: DELETE `…/positions/instructions/{instruction_id}`.

        `instruction_id` is the server's `id`, not the caller's key. Answers the instruction as CANCEL_REQUESTED;
        the end, CANCELLED or CANCEL_FAILED, is read later.
        """
        request = _requests.cancel(account_id, instruction_id)
        answer = await self._calls.write_one(request, Instruction, timeout_s=timeout_s)
        if answer.data.account_id != account_id:
            raise _failures.answered_another(answer.data.account_id, answer.metadata.request_id)
        return answer

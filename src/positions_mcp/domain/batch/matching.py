"""Which row of an answer belongs to which row of the batch that was submitted.

The API may leave rows out, repeat them, reorder them, add some, share one caller's key between rows, answer without
ids, or ignore the keys. A row is matched by key where the key came back and by position and content where it did not,
and never against what it says about its account, contract or type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.operation.plan import InstructionTarget


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A row of an answer and its place there, from 0. Places of rows that could not be read are left out."""

    place: int
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Matching:
    """The rows of one answer, each either the answer to one planned row or left over."""

    answers: dict[int, Instruction]
    """By index of the planned row."""
    left_over: tuple[Instruction, ...]
    """Rows nobody asked for, and rows that repeat one already matched."""
    repeats: dict[int, tuple[Instruction, ...]]
    """Of those left over, the ones that say something of a planned row again, by its index."""


def match(
    planned: Sequence[InstructionTarget], answered: Iterable[AnsweredRow], account_id: AccountId, length: int
) -> Matching:
    """Match an answer of `length` rows, readable or not, to the planned rows. Every readable row is used once."""
    matcher = _Matcher(planned, answered, account_id, whole=length == len(planned))
    matcher.match(matcher.has_key_and_place, same_quantity=True)
    matcher.match(matcher.has_key, same_quantity=True)
    matcher.match(matcher.has_key, same_quantity=False)
    matcher.match(matcher.has_place, same_quantity=True)
    matcher.match(matcher.has_contract, same_quantity=True)
    matcher.match(matcher.has_place, same_quantity=False)
    matcher.match(matcher.has_contract, same_quantity=False)
    return matcher.matching()


_Test = Callable[[int, AnsweredRow], bool]


class _Matcher:
    def __init__(
        self,
        planned: Sequence[InstructionTarget],
        answered: Iterable[AnsweredRow],
        account_id: AccountId,
        *,
        whole: bool,
    ) -> None:
        self._planned = planned
        self._account_id = account_id
        self._whole = whole
        self._free = list(answered)
        self._matched: dict[int, Instruction] = {}
        self._of_key: dict[str, list[int]] = {}
        self._of_contract: dict[str, list[int]] = {}
        for index, target in enumerate(planned):
            self._of_key.setdefault(target.instruction_key, []).append(index)
            self._of_contract.setdefault(target.instrument_id.lower(), []).append(index)

    def has_key_and_place(self, index: int, row: AnsweredRow) -> bool:
        return index == row.place and self.has_key(index, row)

    def has_key(self, index: int, row: AnsweredRow) -> bool:
        return self._planned[index].instruction_key == row.instruction.instruction_id

    def has_place(self, index: int, row: AnsweredRow) -> bool:
        """Without an echoed key; a row that names no contract is placed only in an answer of full length."""
        named = row.instruction.instrument_id is not None or bool(row.instruction.symbol)
        return index == row.place and (named or self._whole) and not self._belongs_by_key(row)

    def has_contract(self, index: int, row: AnsweredRow) -> bool:
        del index  # that the contracts are the same is checked for every match
        return row.instruction.instrument_id is not None and not self._belongs_by_key(row)

    def match(self, test: _Test, *, same_quantity: bool) -> None:
        still_free = []
        for row in self._free:
            for index in self._candidates(row):
                if index in self._matched or not test(index, row) or not self._agrees(index, row.instruction):
                    continue
                if same_quantity and row.instruction.quantity not in (None, self._planned[index].quantity):
                    continue
                self._matched[index] = row.instruction
                break
            else:
                still_free.append(row)
        self._free = still_free

    def matching(self) -> Matching:
        repeats: dict[int, tuple[Instruction, ...]] = {}
        for row in self._free:
            for index in self._candidates(row):
                if index in self._matched and self._agrees(index, row.instruction) and self._repeats(index, row):
                    repeats[index] = (*repeats.get(index, ()), row.instruction)
        return Matching(self._matched, tuple(row.instruction for row in self._free), repeats)

    def _candidates(self, row: AnsweredRow) -> Iterable[int]:
        """Indexes of planned rows that this one could answer, the one at its place first."""
        instruction = row.instruction
        found = {row.place: None} if row.place < len(self._planned) else {}
        found |= dict.fromkeys(self._of_key.get(instruction.instruction_id or "", ()))
        found |= dict.fromkeys(self._of_contract.get((instruction.instrument_id or "").lower(), ()))
        return found

    def _agrees(self, index: int, row: Instruction) -> bool:
        """Whether the row says nothing that the planned row does not: account, type and contract."""
        target = self._planned[index]
        if row.account_id != self._account_id or row.instruction_type != target.instruction_type:
            return False
        if row.instrument_id is not None:
            return row.instrument_id.lower() == target.instrument_id.lower()
        contract = parse_option_symbol(row.symbol)
        return contract is None or contract == parse_option_symbol(target.symbol)

    def _belongs_by_key(self, row: AnsweredRow) -> bool:
        """Whether the key names a planned row that this can answer: then it answers no other."""
        of_key = self._of_key.get(row.instruction.instruction_id or "", ())
        return any(self._agrees(index, row.instruction) for index in of_key)

    def _repeats(self, index: int, row: AnsweredRow) -> bool:
        if self.has_key(index, row):
            return True
        echoed = self._matched[index].instruction_id == self._planned[index].instruction_key
        return not echoed and not self._belongs_by_key(row)

"""Is what was approved about instructions still so? The comparison right before sending (G-03), deadline included."""

from __future__ import annotations

from decimal import Decimal

from positions_mcp.domain.account.quotes import is_exercised_by_exception
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.cards import notional_of_instruction
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Reservation
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget, Plan
from positions_mcp.domain.portfolio.exposure import Notional
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.draft import cancellable, check, notional_of_cancel, session_of, whole
from positions_mcp.guard.exercising.evening import facts_of, options_of, with_batch, without
from positions_mcp.guard.kind import Comparison


def compare_submit(plan: Plan, account: Account, deps: Dependencies) -> Comparison:
    """Whatever the preview would refuse now is stale, a passed deadline too, and a consequence that no longer holds."""
    result = Comparison()
    rows = [
        InstructionRow(
            instrument=target.instrument_id,
            instruction_type=target.instruction_type,
            quantity=str(target.quantity),
            instruction_id=target.instruction_key,
        )
        for target in plan.instructions
    ]
    batch = check(rows, account, deps)
    result.stale += [finding.message for finding in batch.findings]
    facts = facts_of(account, deps, plan.plan_id, plan.instructions)
    options = options_of(with_batch(facts, plan.instructions))
    for index, (target, row) in enumerate(zip(plan.instructions, batch.rows, strict=True)):
        result.stale += [f"Row {index + 1}: {finding.message}" for finding in row.findings]
        option = options.get(target.instrument_id)
        if option is None or row.findings:
            continue
        if moved := _moved(target, option.price.price, deps.policy.tolerance):
            result.stale.append(moved)
        notional = notional_of_instruction(target.instruction_type, target.quantity, option)
        result.reserving[index] = _reserving(target, notional)
    # The plans of 0.1.0 have no projection, and name the last day's cut-off for an early exercise too.
    if plan.projection and not result.stale and session_of(batch) != plan.session:
        result.stale.append(f"The cut-off has changed: {session_of(batch)}. When planned, {plan.session}.")
    return result


def compare_cancel(plan: Plan, account: Account, deps: Dependencies) -> Comparison:
    """An instruction that is gone, final or of another size is stale, and so is a consequence that no longer holds."""
    result = Comparison()
    (target,) = plan.cancels
    try:
        instruction = cancellable(target.instruction_id, account)
    except InvalidInput as error:
        result.stale.append(error.message)
        return result
    if whole(instruction.quantity) != target.quantity or instruction.instruction_type != target.instruction_type:
        result.stale.append(f"Instruction {target.instruction_id} is another one than when it was planned.")
    option = options_of(without(facts_of(account, deps), target)).get(target.instrument_id)
    if moved := _moved(target, option.price.price if option else None, deps.policy.tolerance):
        result.stale.append(moved)
    result.reserving[0] = _reserving(target, notional_of_cancel(target, option))
    return result


def _reserving(target: InstructionTarget | CancelTarget, now: Notional) -> Reservation:
    return Reservation(measure=now.amount if now.priced else max(now.amount, target.measure))


def _moved(target: InstructionTarget | CancelTarget, now: Decimal | None, tolerance: Decimal) -> str:
    """Why the consequence that was shown does not hold any more; empty where it does."""
    was, contract = target.underlying_price, parse_option_symbol(target.symbol)
    if was is None or contract is None:
        return ""
    if now is None:
        return f"The underlying of {target.symbol} has no price now; it was {plain(was)}."
    if is_exercised_by_exception(contract, now) != is_exercised_by_exception(contract, was):
        return (
            f"The underlying of {target.symbol} moved from {plain(was)} to {plain(now)}: exercise by exception would "
            "now do the opposite of what was shown."
        )
    if abs(now - was) > was * tolerance:
        percent = 100 * (now - was) / was
        return (
            f"The underlying of {target.symbol} moved {percent:+.1f} %, beyond the tolerance of "
            f"{100 * tolerance:.0f} %."
        )
    return ""

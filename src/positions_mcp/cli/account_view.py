"""What the account now says of an operation, for a person who looks at it. Where it cannot be read, that is said."""

from __future__ import annotations

import argparse

from positions_mcp.cli.record import Record, account_dependencies, settings_for
from positions_mcp.cli.words import order_text
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import ConfigurationError, UpstreamError
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget, Target
from positions_mcp.domain.text import label
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport, report

_MOST_SHOWN = 12


async def followed(record: Record, arguments: argparse.Namespace, operation: Operation) -> OperationReport:
    """The operation as the account now shows it, or as last recorded with why the account was not read."""
    if not any(row.is_unfinished for row in operation.rows):
        return report(operation, SystemClock().now())
    try:
        settings = settings_for(arguments, operation.account_id, mode=operation.plan.mode)
        async with account_dependencies(settings, record.store) as parts:
            return await Guard(parts).operation(operation.operation_id)
    except ConfigurationError as error:
        return report(operation, SystemClock().now(), not_followed=f"The account was not read: {error}")


async def evidence(
    record: Record, arguments: argparse.Namespace, operation: Operation, rows: list[Row]
) -> dict[int, list[str]]:
    """For each row, by position, what the account shows of its instrument: holding, orders, instructions."""
    try:
        settings = settings_for(arguments, operation.account_id, mode=operation.plan.mode)
        async with account_dependencies(settings, record.store) as parts:
            return {row.position: await _shown(parts, operation, row) for row in rows}
    except (ConfigurationError, UpstreamError) as error:
        return {row.position: [f"The account was not read: {error}"] for row in rows}


async def _shown(parts: Dependencies, operation: Operation, row: Row) -> list[str]:
    target = operation.plan.targets[row.position]
    book = await parts.positions.read_book(operation.account_id)
    held = book.by_id.get(target.instrument_id)
    holding = "none" if held is None else plain(held.quantity)
    incomplete = "" if book.is_complete else " (the listing was incomplete)"
    said = [f"Held now: {holding} {target.called}{incomplete}"]
    if isinstance(target, HeldTarget) and target.is_everything:
        said = [f"Held now: {sum(position.quantity != 0 for position in book.positions)} positions{incomplete}"]
    if isinstance(target, CloseTarget | HeldTarget):
        return [*said, *await _orders(parts, operation, target)]
    return [*said, *await _instructions(parts, operation, target)]


async def _orders(parts: Dependencies, operation: Operation, target: Target) -> list[str]:
    if parts.orders is None:
        return ["Orders cannot be read here."]
    try:
        found = await parts.orders.read_orders(operation.account_id, instrument_ids=[target.instrument_id])
    except UpstreamError as error:
        return [f"Orders could not be read: {error.message}"]
    lines = [
        f"Order {'' if order.created_at is None else moment(order.created_at)} {order.side or '?'} "
        f"{order_text(SentOrder.of(order))}"
        for order in sorted(found, key=lambda order: (order.created_at is not None, order.created_at))
    ]
    return lines[-_MOST_SHOWN:] or [f"No order for {target.called} is listed."]


async def _instructions(parts: Dependencies, operation: Operation, target: Target) -> list[str]:
    if parts.instructions is None:
        return ["Instructions cannot be read here."]
    try:
        found = await parts.instructions.get_position_instructions(operation.account_id, target.instrument_id)
    except UpstreamError as error:
        return [f"Instructions could not be read: {error.message}"]
    lines = [
        f"Instruction {label(row.id)} {label(row.instruction_type)} "
        f"{'?' if row.quantity is None else plain(row.quantity)} {label(row.status)}"
        for row in found.data
    ]
    doubts = [f"The listing is not complete: {said}." for said in found.left_out]
    return [*doubts, *(lines[-_MOST_SHOWN:] or [f"No instruction for {target.called} is listed."])]

"""A way out that does not depend on the operation store: a person flattens although it cannot be written.

A full disk, a file that was altered, a database that is gone: none of them may keep a trader in a falling market. What
is sent is then journalled in a new store of its own, and the person is told where, so that nothing is forgotten.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from positions_mcp.cli.approver import new_passphrase
from positions_mcp.cli.record import Record, open_record
from positions_mcp.cli.terminal import Terminal
from positions_mcp.cli.words import paragraph
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import PositionsError, StoreUnavailable
from positions_mcp.domain.plans import Mode
from positions_mcp.domain.supervision import Approver
from positions_mcp.settings import load
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.store.operations import SqlOperationStore


@contextmanager
def open_record_to_flatten(arguments: argparse.Namespace, terminal: Terminal) -> Iterator[Record]:
    """The usual record where it can be written; otherwise one of its own, with the approver of the usual one."""
    with ExitStack() as stack:
        approver = None
        try:
            record = stack.enter_context(open_record(arguments))
            status = record.store.status()
        except StoreUnavailable as error:
            why = error.message
        else:
            if status.writable:
                yield record
                return
            why, approver = status.reason, _approver_of(record.store)
        yield stack.enter_context(_emergency_record(arguments, terminal, why, approver))


def _approver_of(store: SqlOperationStore) -> Approver | None:
    try:
        return store.approver()
    except (PositionsError, ValueError):
        return None


@contextmanager
def _emergency_record(
    arguments: argparse.Namespace, terminal: Terminal, why: str, approver: Approver | None
) -> Iterator[Record]:
    settings = load({"mode": Mode.PAPER, "data_dir": arguments.data_dir}, config=arguments.config)
    folder = Path(tempfile.mkdtemp(prefix="positions-mcp-flatten-"))
    store = open_store(folder / DEFAULT_FILE)
    try:
        record = Record(settings, store)
        terminal.show(paragraph(f"THE OPERATION STORE CANNOT BE USED: {why}"))
        terminal.show(paragraph(f"What is sent now is journalled in {folder / DEFAULT_FILE}: keep it."))
        terminal.show(paragraph("Requests of other processes and unknown outcomes cannot be seen from here."))
        if approver is not None:
            store.set_approver(approver, replacing=None, now=SystemClock().now())
        else:
            terminal.show(paragraph("The approver cannot be read either. Choose a passphrase for this once."))
            anyio.run(record.supervisor().set_up_approver, new_passphrase(terminal))
        yield record
    finally:
        store.close()

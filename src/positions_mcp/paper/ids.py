"""Identifiers of a book that began from a seed: each follows from the seed and from how many there were before."""

from __future__ import annotations

import uuid
from dataclasses import replace
from threading import Lock

from positions_mcp.paper.ledger import Ledger

_NAMESPACE = uuid.UUID("c0a4b0d5-52a6-5b1c-9e37-3b7a6f0e5d11")


class SeededIds:
    """Implements `positions_mcp.ports.Ids` for what a ledger keeps; it counts in the ledger's own transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def new(self) -> str:
        facts = self._ledger.facts
        number = facts.ids_made + 1
        self._ledger.put_facts(replace(facts, ids_made=number))
        return str(uuid.uuid5(_NAMESPACE, f"{facts.token_secret}|{number}"))


class RequestIds:
    """The ids of requests to one process on a book that began from a seed, as the process's n-th request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._book = ""
        self._made = 0

    def new(self, token_secret: str, born: str, process: int) -> str:
        """The next id. `born` tells books of one seed apart, `process` the processes on one book."""
        with self._lock:
            self._made = self._made + 1 if born == self._book else 1
            self._book = born
            return str(uuid.uuid5(_NAMESPACE, f"{token_secret}|{process}|{self._made}"))
